"""How the page looks: on a screen light or dark, on a phone, on paper."""

STYLE = """
:root{color-scheme:light dark;--page:#fff;--ink:#1b1f24;--soft:#545d68;--line:#d0d7de;--band:#f3f5f7;
--good:#136b31;--bad:#b3261e;--quiet:#57606a;--link:#0a56a3}
@media (prefers-color-scheme:dark){:root{--page:#14171a;--ink:#e7e9ec;--soft:#aab2bb;--line:#3a4149;--band:#1e2328;
--good:#5fd38a;--bad:#ff938a;--quiet:#9aa3ad;--link:#84bbff}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1rem 3rem;max-width:64rem;background:var(--page);color:var(--ink);
font:1rem/1.5 system-ui,sans-serif;overflow-wrap:break-word}
h1{font-size:1.4rem;line-height:1.25;margin:0 0 .25rem;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:2.25rem 0 .5rem}h3{font-size:1rem;margin:0}
p{margin:.25rem 0}.soft,caption,figcaption,dt{color:var(--soft)}section>.soft{font-size:.9rem}
a{color:var(--link)}a:focus-visible,summary:focus-visible,.wide:focus-visible{outline:3px solid var(--link);
outline-offset:2px}
.SUCCEEDED{color:var(--good)}.FAILED{color:var(--bad)}.UNCHANGED,.SKIPPED{color:var(--quiet)}
.state{font-weight:600;white-space:nowrap}
dl{display:flex;flex-wrap:wrap;gap:.75rem 1.25rem;margin:1.25rem 0 0}
dl div{flex:1 1 8rem;border-top:2px solid var(--line);padding-top:.35rem}dt{font-size:.85rem}
dl div:nth-last-child(2){flex-grow:1.4}dl div:last-child{flex:1.6 1 13rem}
dd{margin:0;font-size:1.15rem;font-variant-numeric:tabular-nums}
dd small{display:block;font-size:.8rem;color:var(--soft)}
article{border-left:4px solid var(--bad);background:var(--band);padding:.6rem .9rem;margin:.6rem 0}
article p{white-space:pre-wrap;overflow-wrap:anywhere}
code{font:.875em/1.5 ui-monospace,monospace;overflow-wrap:anywhere}
.wide{overflow-x:auto;position:relative}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
caption,figcaption{text-align:left;font-size:.9rem;padding:0 0 .4rem}
caption span{display:inline-block;max-width:calc(100vw - 2rem);position:sticky;left:0}
th,td{text-align:left;padding:.35rem .9rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top;
white-space:nowrap}
tbody th{font-weight:400}thead th{font-size:.85rem}
tbody th[scope=rowgroup]{font-weight:600;font-size:.85rem;white-space:normal;padding-top:.9rem}
.n{text-align:right}.bar{width:60%;min-width:7rem}
.wide th:first-child{position:sticky;left:0;background:var(--page)}
svg{display:block;width:100%;overflow:visible}.axis{display:flex;justify-content:space-between}
figure{margin:1rem 0}ul{padding-left:1.1rem;margin:.4rem 0}li{margin:.2rem 0;overflow-wrap:anywhere}
details{border-bottom:1px solid var(--line);padding:.35rem 0}summary{cursor:pointer;padding:.2rem 0}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(16rem,1fr));gap:0 2rem}
@media (max-width:34rem){th,td{padding-right:.6rem}.bar{width:auto}
dl div:nth-last-child(2){flex-grow:1}
.wide th:first-child{min-width:9rem;white-space:normal;overflow-wrap:anywhere}.timeline th:first-child{min-width:6rem}
.timeline .word{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}}
@media print{:root{--page:#fff;--ink:#000;--soft:#444;--line:#bbb;--band:#f5f5f5;--good:#136b31;--bad:#b3261e;
--quiet:#444;--link:#000;font-size:10pt}body{max-width:none;padding:0}article,tr,figure{break-inside:avoid}
h2{break-after:avoid}.wide{overflow:visible;font-size:.85em}th,td{white-space:normal}.n{white-space:nowrap}
.wide th:first-child{position:static;min-width:9rem;overflow-wrap:anywhere}
details::details-content{content-visibility:visible;block-size:auto}.screen{display:none}}
"""
