"""Look of the page: one column, two themes, nothing fetched."""

from __future__ import annotations

STYLE = """\
:root {
  color-scheme: light dark;
  --paper: #ffffff; --page: #f6f7f9; --ink: #1f2430; --muted: #5d6678;
  --grid: #d5d9e2; --line: #e2e5eb; --accent: #1d5fbf; --tint: #eef3fb;
  --good: #17694f; --good-tint: #e5f4ee; --warn: #8a5a00; --warn-tint: #fbf1dd;
  --bad: #a3263a; --bad-tint: #fbe9ec;
  --series-1: #0072b2; --series-2: #d55e00; --series-3: #009e73;
  --series-4: #cc79a7; --series-5: #e69f00; --series-6: #56b4e9;
  --series-7: #332288; --series-8: #882255; --series-9: #117733;
  --series-10: #999933;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #171a21; --page: #0f1116; --ink: #e6e9ef; --muted: #a1aab9;
    --grid: #343a47; --line: #2a303b; --accent: #84b4ff; --tint: #1b2536;
    --good: #6fd6b0; --good-tint: #12291f; --warn: #e8bf6a; --warn-tint: #2c2413;
    --bad: #ff9aa8; --bad-tint: #331a1f;
    --series-1: #5aa9e6; --series-2: #ff8f4d; --series-3: #3fcf9f;
    --series-4: #e6a3c9; --series-5: #f2b84b; --series-6: #8fd0f5;
    --series-7: #a99cf0; --series-8: #e07aa6; --series-9: #6cc784;
    --series-10: #c9c96a;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans",
    sans-serif;
}
.skip {
  position: absolute; left: -10000px; background: var(--paper); padding: .5rem 1rem;
}
.skip:focus { left: 1rem; top: 1rem; z-index: 1; }
header, main, footer { max-width: 68rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 3rem; }
footer { padding-bottom: 3rem; color: var(--muted); font-size: .875rem; }
h1 { font-size: 2.125rem; line-height: 1.2; letter-spacing: -.02em; margin: 0; }
h2 { font-size: 1.5rem; line-height: 1.3; letter-spacing: -.01em; margin: 0; }
h3 { font-size: 1.0625rem; margin: 0 0 .25rem; }
p { margin: .5rem 0; max-width: 46rem; }
a { color: var(--accent); text-underline-offset: .15em; }
a:focus-visible, summary:focus-visible, [tabindex]:focus-visible {
  outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px;
}
code, pre { font-family: ui-monospace, "SF Mono", "Liberation Mono", monospace; }
code { font-size: .875em; background: var(--tint); padding: .1em .35em;
  border-radius: 4px; overflow-wrap: anywhere; }
pre { overflow-x: auto; background: var(--tint); padding: 1rem; border-radius: 8px;
  font-size: .8125rem; line-height: 1.5; }
.lead { font-size: 1.125rem; color: var(--muted); }
.card {
  background: var(--paper); border: 1px solid var(--line); border-radius: 14px;
  padding: 1.75rem; margin: 2rem 0;
}
.meta { color: var(--muted); font-size: .9375rem; }
.meta p { margin: .25rem 0; max-width: none; }
.badge {
  display: inline-block; font-size: .8125rem; font-weight: 600; line-height: 1.4;
  padding: .15rem .6rem; border-radius: 999px; white-space: nowrap;
  background: var(--tint); color: var(--ink);
}
.good { background: var(--good-tint); color: var(--good); }
.warn { background: var(--warn-tint); color: var(--warn); }
.bad { background: var(--bad-tint); color: var(--bad); }
.badges { display: flex; flex-wrap: wrap; gap: .5rem; margin: .6rem 0; }
.facts {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr));
  gap: 1.25rem 2rem; margin: 1.5rem 0;
}
.facts > div { border-left: 3px solid var(--line); padding-left: 1rem; }
.facts > .measured { border-color: var(--accent); }
.facts dt { font-size: .8125rem; font-weight: 600; color: var(--muted); }
.facts dd { margin: .1rem 0 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9375rem;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--muted); font-size: .9375rem;
  padding-bottom: .5rem; }
th, td { text-align: left; vertical-align: top; padding: .5rem .75rem;
  border-bottom: 1px solid var(--line); }
thead th { border-bottom: 2px solid var(--grid); font-size: .8125rem;
  color: var(--muted); vertical-align: bottom; }
tbody th { font-weight: 600; }
tr:last-child > * { border-bottom: 0; }
th:first-child, td:first-child { padding-left: 0; }
.number { text-align: right; }
td.number { white-space: nowrap; }
tbody th { min-width: 9rem; }
.overview td { min-width: 9rem; }
.overview td.wide { min-width: 14rem; }
.table { margin: 1.75rem 0 0; }
figure { margin: 2.25rem 0 0; }
figure svg { display: block; width: 100%; height: auto; min-width: 40rem; }
figure svg text { fill: var(--ink);
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans",
    sans-serif !important; }
figcaption { color: var(--muted); font-size: .9375rem; max-width: 46rem;
  margin-top: .25rem; }
.notes { margin-top: 1.75rem; padding-left: 1.25rem; max-width: 46rem; }
.notes li { margin: .35rem 0; }
details { margin-top: 1.25rem; }
summary { cursor: pointer; font-weight: 600; }
@media (max-width: 40rem) {
  header, main, footer { padding-left: 1rem; padding-right: 1rem; }
  .card { padding: 1.1rem; border-radius: 10px; }
  h1 { font-size: 1.75rem; }
}
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
@media print {
  body { background: #fff; }
  .card { border: 0; padding: 0; }
  figure, table { break-inside: avoid; }
  .skip { display: none; }
}
"""
