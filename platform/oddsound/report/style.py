"""The one style sheet of all pages: light, dark, narrow, and on paper."""

from __future__ import annotations

from collections.abc import Mapping

from oddsound.report.palette import DARK, LIGHT, STAND_INS


def _variables(colors: Mapping[str, str]) -> str:
    return " ".join(f"--{name}: {color};" for name, color in colors.items())


_DRAWN = "\n".join(
    f".fill-{name} {{ fill: var(--{name}); }} .stroke-{name} {{ stroke: var(--{name}); }}"
    for name in STAND_INS.values()
)
PAGE = f"""
:root {{ color-scheme: light dark; {_variables(LIGHT)} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; padding: 1.5rem; max-width: 110rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }}
h1 {{ font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }}
h2 {{ font-size: 1.15rem; margin: 2rem 0 .5rem; overflow-wrap: anywhere; }}
ul {{ padding-left: 1.25rem; }}
li, p {{ overflow-wrap: anywhere; max-width: 75ch; }}
pre {{ margin: .5rem 0 0; padding: .75rem 1rem; background: var(--band); border: 1px solid var(--line);
  border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere; }}
.scroll {{ overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; }}
.scroll:focus-visible {{ outline: 3px solid var(--soft); }}
table {{ border-collapse: separate; border-spacing: 0; font-size: .8125rem; width: 100%; }}
caption {{ text-align: left; padding: .6rem .35rem; color: var(--soft); }}
th, td {{ padding: .3rem .35rem; text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; }}
thead th {{ border-top: 1px solid var(--line); background: var(--band); font-weight: 600; }}
thead tr + tr th {{ border-top: 0; border-bottom: 1px solid var(--line); font-weight: 400;
  color: var(--soft); }}
thead th[colspan] {{ text-align: center; border-left: 1px solid var(--line); }}
tbody th, th.corner {{ position: sticky; left: 0; text-align: left;
  background: var(--paper); border-right: 1px solid var(--line); }}
th.corner {{ background: var(--band); border-bottom: 1px solid var(--line); vertical-align: bottom; }}
tbody th {{ font-weight: 400; }}
tbody + tbody tr:first-child > * {{ border-top: 2px solid var(--line); }}
tbody tr:nth-child(even) > * {{ background: var(--band); }}
.first {{ border-left: 1px solid var(--line); }}
thead th.corner + th, thead tr + tr th:first-child, tbody th + .first {{ border-left: 0; }}
.paper, .none {{ color: var(--soft); }}
.ours {{ font-weight: 600; }}
.up {{ color: var(--green); }}
.down {{ color: var(--red); }}
footer {{ margin-top: 1.5rem; color: var(--soft); }}
@media (max-width: 40rem) {{ body {{ padding: 1rem .75rem; }}
  tbody th, th.corner {{ white-space: normal; min-width: 7.5rem; max-width: 7.5rem; }} }}
@media print {{ :root {{ color-scheme: light; {_variables(LIGHT)} --ink: #000; --soft: #333; --line: #999;
    --band: #fff; }}
  body {{ padding: 0; max-width: none; }} .scroll {{ overflow: visible; border: 0; }}
  table {{ font-size: 6.5pt; }} th, td {{ padding: 1pt 2pt; }} section {{ break-inside: avoid; }}
  tbody th, th.corner {{ position: static; }} .up, .down {{ color: #000; }} }}
"""
LANDSCAPE = "@page { size: A4 landscape; margin: 10mm; }\n"
RUN = f"""
{_DRAWN}
h3 {{ font-size: 1rem; margin: 1.5rem 0 .5rem; overflow-wrap: anywhere; }}
a {{ color: var(--blue); }}
nav ul {{ columns: 12rem; max-width: 60rem; padding: 0; list-style: none; margin: 0; }}
nav li {{ break-inside: avoid; }}
summary {{ cursor: pointer; border-top: 2px solid var(--line); padding-top: .75rem; margin-top: 2rem; }}
summary h2 {{ display: inline; margin: 0; }}
summary small {{ color: var(--soft); font-size: .9rem; }}
.figures {{ display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start; }}
figure {{ margin: 0; flex: 0 1 27.6rem; min-width: 0; max-width: 100%; }}
figure.wide {{ flex-basis: 36rem; }}
figcaption {{ color: var(--soft); font-size: .875rem; max-width: 60ch; overflow-wrap: anywhere; }}
figcaption b {{ color: var(--ink); display: block; }}
.scroll + figure, p + figure {{ margin-top: 1.5rem; }}
.pan {{ overflow-x: auto; }} .pan:focus-visible {{ outline: 3px solid var(--soft); }}
svg.plot {{ display: block; max-width: 100%; height: auto; font-family: inherit; }}
.halo text {{ paint-order: stroke; stroke: var(--paper); stroke-width: 3px; }}
audio {{ display: block; width: 100%; max-width: 30rem; margin: .25rem 0; }}
.lacking {{ border-left: 4px solid var(--gold); padding: .25rem .75rem; margin: 1rem 0; max-width: 75ch; }}
.lacking p, .lacking ul {{ margin: .25rem 0; }}
table.words td {{ text-align: left; white-space: normal; overflow-wrap: anywhere; vertical-align: top; }}
table.words {{ width: auto; }}
th.word, td.word {{ text-align: left; }}
td.word {{ white-space: normal; min-width: 12rem; overflow-wrap: anywhere; }}
th button {{ all: unset; cursor: pointer; }}
th button:focus-visible {{ outline: 2px solid var(--blue); outline-offset: 2px; }}
th[aria-sort] button::after {{ content: " ▲"; }}
th[aria-sort=descending] button::after {{ content: " ▼"; }}
.fit {{ width: fit-content; max-width: 100%; }}
.fit table {{ width: auto; }} .fit th, .fit td {{ padding: .3rem .6rem; }}
@media screen and (max-width: 40rem) {{ .scroll caption {{ position: sticky; left: 0; width: fit-content;
  max-width: calc(100vw - 2rem); }} .pan svg.plot {{ max-width: none; }} }}
@page {{ size: A4; margin: 12mm; }}
@media print {{ section {{ break-inside: auto; }} figure, tr, pre {{ break-inside: avoid; }}
  h2, h3 {{ break-after: avoid; }} .fit table {{ font-size: 7.5pt; }}
  .fit th, .fit td {{ padding: 1pt 3pt; }} .fit thead th {{ white-space: normal; }}
  th button {{ display: contents; }} td code {{ display: inline-block; min-width: 8.1ch; white-space: normal;
  overflow-wrap: anywhere; }}
  nav, audio {{ display: none; }} .figures {{ gap: 5mm; }}
  figure {{ flex-basis: 85mm; }} figure.wide {{ flex-basis: 120mm; }}
  summary {{ list-style: none; break-after: avoid; }} td.word {{ min-width: 0; }} }}
"""
