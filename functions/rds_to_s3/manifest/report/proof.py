"""How much of each table was compared with what was delivered, and what that found."""

from __future__ import annotations

from collections.abc import Sequence

from rds_to_s3.commit.entries import ProofEntry, TableEntry
from rds_to_s3.manifest.report.figures import count
from rds_to_s3.manifest.report.pieces import breakable, scrolling_table, section, text
from rds_to_s3.timestamps import short


def proof_section(tables: Sequence[TableEntry]) -> str:
    proved = [(table.table, table.proof) for table in tables if table.proof]
    if not proved:
        return ""
    # Tables with a difference come first: there may be hundreds of tables.
    proved.sort(key=lambda one: not (one[1].healed or one[1].gone))
    rows = "".join(
        f'<tr><th scope="row">{breakable(name)}</th><td class="n">{count(proof.rows)}</td>'
        f'<td class="n">{_healed(proof)}</td><td class="n">{count(proof.gone)}</td>'
        f"<td>{text(short(proof.whole_until) if proof.whole_until else 'not yet')}</td></tr>\n"
        for name, proof in proved
    )
    heads = [("Table", ""), ("Compared", "n"), ("Healed", "n"), ("Gone", "n"), ("Proved whole up to", "")]
    caption = (
        "Rows that this run compared with what was delivered. Healed: they differed, and are in this run's files. "
        "Gone: they were delivered, and the table no longer has them"
    )
    return section("Proof", scrolling_table("proof", caption, heads, rows))


def _healed(proof: ProofEntry) -> str:
    if not proof.healed:
        return "0"
    return f'<strong class="healed"><span aria-hidden="true">✚</span> {count(proof.healed)}</strong>'
