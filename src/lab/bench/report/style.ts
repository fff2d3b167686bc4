/** Of the report: light and dark as the reader's system has it. */
export const style = `
:root { color-scheme: light dark; --back: #ffffff; --panel: #f6f7f9; --text: #1d2129; --faint: #5b6370; --line: #d9dde3;
  --good: #12733f; --fair: #8a5a00; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --back: #14171c; --panel: #1c2027; --text: #e4e7ec; --faint: #a0a8b5; --line: #343b46;
    --good: #5fd08f; --fair: #e7b24f; --bad: #ff8a80; }
}
body { margin: 0; background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1420px; margin: 0 auto; padding: 24px; }
h1 { margin: 0 0 16px; font-size: 26px; }
h2 { margin: 40px 0 8px; font-size: 21px; }
h3 { margin: 0 0 8px; font-size: 16px; }
p { max-width: 80ch; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 6px 24px; margin: 0; }
dl div { display: flex; gap: 12px; }
dl div:last-child { grid-column: 1 / -1; }
dt { color: var(--faint); flex: 0 0 72px; }
dd { margin: 0; overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 560px), 1fr)); gap: 20px; margin: 20px 0; }
figure { margin: 0; padding: 16px; background: var(--panel); border: 1px solid var(--line); border-radius: 8px; }
figure svg { display: block; width: 100%; height: auto; }
figcaption { color: var(--faint); font-size: 13px; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 0 0 8px; padding: 0; list-style: none; font-size: 13px; }
.legend i { display: inline-block; width: 12px; height: 12px; margin-right: 6px; border-radius: 3px; vertical-align: -1px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 12px 4px 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; font-weight: normal; }
thead th { color: var(--faint); vertical-align: bottom; }
small { display: block; color: var(--faint); white-space: nowrap; }
summary { cursor: pointer; }
.met { color: var(--good); }
.close { color: var(--fair); }
.missed, .unknown { color: var(--bad); font-weight: 600; }
`;
