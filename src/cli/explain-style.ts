/** How the page of `explain --html` looks, in light and in dark. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --line: #e2e5ea; --text: #1b1f27; --dim: #646c7a; --track: #eef0f4;
  --wait: #c9ced8; --start: #e8a33d; --text-stage: #4fb3c8; --steps: #4a6cf0; --decode: #8f5ae0;
  --encode: #4cae7d; --upload: #24855a; --other: #8d96a6; --lost: #d9483b;
  --good: #1c7a4d; --good-back: #e2f4ea; --bad: #b3261e; --bad-back: #fcebe9; --busy: #2f55d4; --busy-back: #e8edfd;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12151b; --card: #1a1e26; --line: #2a303b; --text: #e6e9ef; --dim: #98a1b0; --track: #232833;
    --wait: #434b59; --start: #d8963a; --text-stage: #4aa8bc; --steps: #6b88ff; --decode: #a67bf0;
    --encode: #4cae7d; --upload: #2f9a6a; --other: #717b8c; --lost: #ea6458;
    --good: #69d29d; --good-back: #15321f; --bad: #ff9d94; --bad-back: #3a1a18; --busy: #9db2ff; --busy-back: #1b2547;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 24px 48px; }
h1 { font-size: 27px; line-height: 1.25; margin: 10px 0 8px; font-weight: 650; overflow-wrap: anywhere; }
h2 { font-size: 12px; letter-spacing: .07em; text-transform: uppercase; color: var(--dim); margin: 36px 0 12px; font-weight: 600; }
p { margin: 0; }
code, .mono { font: 12.5px/1.5 ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.dim { color: var(--dim); }
.pill { display: inline-block; padding: 3px 11px; border-radius: 99px; font-size: 13px; font-weight: 600; background: var(--busy-back); color: var(--busy); }
.pill.good { background: var(--good-back); color: var(--good); }
.pill.bad { background: var(--bad-back); color: var(--bad); }
.chips { display: flex; flex-wrap: wrap; gap: 6px; margin: 0 0 12px; padding: 0; list-style: none; }
.chips li { border: 1px solid var(--line); background: var(--card); border-radius: 6px; padding: 2px 9px; font-size: 13px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 18px 20px; }
.card + .card { margin-top: 12px; }
.failure { background: var(--bad-back); border-color: transparent; color: var(--bad); margin-top: 18px; }
.failure p + p { margin-top: 4px; color: var(--text); }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(168px, 1fr)); gap: 14px; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 12px; overflow: hidden; }
figure .frame { display: flex; align-items: center; justify-content: center; aspect-ratio: 1; background: var(--track); }
figure img { width: 100%; height: 100%; object-fit: contain; display: block; }
figure .frame p { padding: 16px; text-align: center; font-size: 13px; color: var(--dim); overflow-wrap: anywhere; }
figcaption { padding: 9px 12px 11px; font-size: 13px; line-height: 1.4; }
figcaption b { font-weight: 600; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(118px, 1fr)); gap: 1px; background: var(--card);
  border: 1px solid var(--line); border-radius: 12px; overflow: hidden; }
.tiles div { box-shadow: 0 0 0 1px var(--line); padding: 12px 16px; }
.tiles b { display: block; font-size: 19px; font-weight: 600; font-variant-numeric: tabular-nums; }
.tiles span { font-size: 12.5px; color: var(--dim); }
.chart { display: grid; grid-template-columns: minmax(120px, max-content) 1fr; column-gap: 16px; row-gap: 7px; align-items: center; }
.chart .name { font-size: 13px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; max-width: 240px; }
.chart .track, .chart .axis { position: relative; }
.chart .track { height: 20px; background: var(--track); border-radius: 4px; overflow: hidden; }
.chart .axis { height: 18px; font-size: 11.5px; color: var(--dim); font-variant-numeric: tabular-nums; }
.chart .axis span { position: absolute; transform: translateX(-50%); white-space: nowrap; }
.chart .axis span:first-child { transform: none; }
.chart .track i { position: absolute; top: 0; bottom: 0; width: 1px; background: var(--line); }
.chart .track b { position: absolute; top: 3px; bottom: 3px; min-width: 2px; border-radius: 2px; }
.chart .track b.wait { top: 8px; bottom: 8px; border-radius: 1px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; margin-top: 16px; font-size: 12.5px; color: var(--dim); }
.legend span::before { content: ""; display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 6px; background: var(--color); }
.wait { background: var(--wait); --color: var(--wait); } .start { background: var(--start); --color: var(--start); }
.text { background: var(--text-stage); --color: var(--text-stage); } .steps { background: var(--steps); --color: var(--steps); }
.decode { background: var(--decode); --color: var(--decode); } .encode { background: var(--encode); --color: var(--encode); }
.upload { background: var(--upload); --color: var(--upload); } .other { background: var(--other); --color: var(--other); }
.lost { background: var(--lost); --color: var(--lost); }
.legend span { background: none; }
.lane h3 { margin: 0 0 6px; font-size: 15px; font-weight: 600; }
.lane ol { list-style: none; margin: 0; padding: 0; }
.lane li { display: grid; grid-template-columns: 22px 1fr; padding: 7px 0; border-top: 1px solid var(--line); }
.lane li:first-child { border-top: 0; }
.lane .mark { font-weight: 700; color: var(--dim); } .lane .done .mark { color: var(--good); } .lane .failed .mark { color: var(--bad); }
.lane .what { font-weight: 550; } .lane .remedy { color: var(--good); }
.lane .where, .lane .stages, .lane .why { font-size: 13.5px; }
.lane .where, .lane .stages { color: var(--dim); }
.lane .failed .what { color: var(--bad); }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th, td { text-align: left; padding: 6px 16px 6px 0; vertical-align: top; border-top: 1px solid var(--line); }
tr:first-child > * { border-top: 0; }
th { color: var(--dim); font-weight: 500; white-space: nowrap; }
td { width: 100%; }
footer { margin-top: 36px; font-size: 12.5px; color: var(--dim); }
@media (max-width: 640px) { main { padding: 20px 14px; } .chart { grid-template-columns: 1fr; row-gap: 3px; } .chart .name { margin-top: 6px; } }
`;
