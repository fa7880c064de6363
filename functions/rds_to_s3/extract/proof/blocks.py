"""The blocks that take the place of one that is compared: kept, joined or split."""

from __future__ import annotations

from collections.abc import Callable

from rds_to_s3.commit.read_as import Ledger, LedgerBlock
from rds_to_s3.extract.proof.entries import Entries
from rds_to_s3.extract.proof.pieces import Piece
from rds_to_s3.extract.proof.recording import BLOCK_BYTES, MOST_ROWS, LedgerWriter


class BlockRewrite:
    """The ledger's next block, and what it becomes as its rows are read again.

    Each piece that was read becomes a block. One with few rows is joined to the block before or behind it. A block that
    is as it was keeps its object.

    Parameters
    ----------
    load : callable
        Returns the entries of an object.

    Attributes
    ----------
    known : Entries
        What the block has.
    rows, bytes : int
        What was read so far.
    ends : bool
        Whether the block's end was reached.
    """

    def __init__(self, ledger: Ledger, writer: LedgerWriter, load: Callable[[str], Entries]) -> None:
        self._ledger = ledger
        self._writer = writer
        self._load = load
        self._block = ledger.blocks[ledger.next]
        self._new: list[LedgerBlock] = []
        self._held: tuple[Entries, list[str] | None] | None = None
        self.known = load(self._block.key)
        self.rows = self.bytes = 0
        self.ends = False

    def add(self, piece: Piece, entries: Entries) -> None:
        """Add a piece that was read, and what the ledger has of its rows from now on."""
        self.rows += len(piece.entries)
        self.bytes += piece.bytes
        self.ends = piece.ends
        if self._held is not None:
            if piece.ends and self._is_small(entries):
                entries = Entries.joined([self._held[0], entries]).in_order()
            else:
                self._new.append(self._writer.put_block(*self._held))
        self._held = entries, self._block.last if piece.ends else piece.last

    def finish(self, unread: Entries) -> Ledger:
        """Return the ledger with its blocks as they are now, and with the one that is compared next.

        Parameters
        ----------
        unread : Entries
            What the block has of keys that were not read; they are behind the last piece, or gone.
        """
        place, held = self._ledger.next, self._held or (Entries.none(), self._block.last)
        new, behind = self._new, [*self._ledger.blocks[place + 1 :]]
        if not new and held[0].equals(self.known):
            new.append(self._block.model_copy(update={"last": held[1]}))
        elif self.ends and not new and behind and self._is_small(held[0]):
            behind[0] = self._joined(held[0], behind[0])
        else:
            new.append(self._writer.put_block(*held))
        following = place + len(new)
        if not self.ends:
            if behind and self._is_small(unread):
                behind[0] = self._joined(unread, behind[0])
            else:
                new.append(self._writer.put_block(unread, self._block.last))
        blocks = [*self._ledger.blocks[:place], *new, *behind]
        return self._ledger.model_copy(update={"blocks": blocks, "next": following})

    def _is_small(self, entries: Entries) -> bool:
        """Whether they are fewer than a quarter of what a block holds, by the rows read so far."""
        return len(entries) < min(BLOCK_BYTES * max(self.rows, 1) // max(self.bytes, 1), MOST_ROWS) // 4

    def _joined(self, few: Entries, behind: LedgerBlock) -> LedgerBlock:
        """Put entries into the next block, whose range then begins where theirs did."""
        if not len(few):
            return behind
        return self._writer.put_block(Entries.joined([few, self._load(behind.key)]).in_order(), behind.last)
