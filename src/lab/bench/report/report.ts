/** The report: one HTML file with everything in it, charts as finished SVG. Needs no script and loads nothing. */
import type { Judgement } from '../floors.js';
import { measureNamed, measures } from '../measures.js';
import {
  type BenchResult,
  baselines,
  comparedMeasures,
  failureLines,
  foreignLoad,
  type Ratio,
  summaryOf,
  type UnderlayResult,
} from '../result.js';
import { figureText } from './chart-options.js';
import { chartsOf } from './charts.js';
import type { Chart, Renderer } from './render.js';
import { style } from './style.js';

const underlayText = {
  veth: {
    title: 'Plain veth',
    about:
      'The nodes share a veth pair, which hands super-packets over whole: nothing is ever cut. It flatters whoever sends the largest.',
  },
  wire: {
    title: 'Redirect wire',
    about:
      'A namespace between the nodes passes packets on, and the nodes may not leave segmentation to the device: every packet really crosses, no larger than the MTU, as between network cards without tunnel offloads.',
  },
} as const;

const verdictText = {
  met: 'met',
  close: 'within the spread',
  missed: 'missed',
  unknown: 'not measured',
} as const;

export function reportHtml(result: BenchResult, render: Renderer): string {
  const { machine, twill, settings } = result;
  const facts: [string, string][] = [
    ['Twill', `${twill.version}${twill.commit === null ? '' : `, commit ${twill.commit}`}`],
    ['Date', result.date],
    ['Machine', `${machine.processors} x ${machine.processor}, ${machine.memoryGibibytes} GiB`],
    ['Linux', machine.kernel],
    ['Node', machine.node],
    ['Traffic', settings.withPods ? 'pod to pod, behind a bridge on each node' : 'node to node'],
    ['Rounds', `${settings.rounds}, TCP runs of ${settings.tcpSeconds} s`],
    ['Others', `kept ${foreignLoad(result).toFixed(2)} processors busy`],
    ['Command', result.command],
  ];
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Twill benchmark, ${escapeHtml(result.date.slice(0, 10))}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>Twill benchmark</h1>
<dl>${facts.map(([term, text]) => `<div><dt>${term}</dt><dd>${escapeHtml(text)}</dd></div>`).join('')}</dl>
${result.underlays.map((underlay) => underlaySection(result, underlay, render)).join('\n')}
${remarks(result)}
</main>
</body>
</html>
`;
}

function underlaySection(result: BenchResult, underlay: UnderlayResult, render: Renderer): string {
  const { title, about } = underlayText[underlay.kind];
  const judged = result.judgements.filter((judgement) => judgement.underlay === underlay.kind);
  const charts = chartsOf(underlay).map((chart) => figure(chart, render));
  return `<section>
<h2>${title}</h2>
<p>${about} Medians of ${underlay.rounds} rounds.</p>
${judged.length > 0 ? floorTable(judged) : ''}
<div class="charts">${charts.join('\n')}</div>
${ratioTables(underlay, result.ratios)}
${figureTable(underlay)}
</section>`;
}

function figure(chart: Chart, render: Renderer): string {
  const legend = chart.legend.map(
    ({ name, color }) => `<li><i style="background:${color}"></i>${escapeHtml(name)}</li>`,
  );
  return `<figure><h3>${escapeHtml(chart.title)}</h3><ul class="legend">${legend.join('')}</ul>
${render(chart)}<figcaption>${escapeHtml(chart.note)}</figcaption></figure>`;
}

function floorTable(judgements: readonly Judgement[]): string {
  const rows = judgements.map(({ floor, bound, ratio, verdict }) => {
    const cells = [
      `<th scope="row">${escapeHtml(floor.title)}</th>`,
      `<td>${ratio ? figureText(ratio.median) : '-'}</td>`,
      `<td>${ratio ? `${figureText(ratio.low)} to ${figureText(ratio.high)}` : '-'}</td>`,
      `<td>${floor.isCeiling ? 'at most' : 'at least'} ${figureText(bound)}</td>`,
      `<td class="${verdict}">${verdictText[verdict]}</td>`,
    ];
    return `<tr>${cells.join('')}</tr>`;
  });
  const head = ['Ratio of medians', '', 'Rounds', 'Floor', '']
    .map((text) => `<th scope="col">${text}</th>`)
    .join('');
  return table('Floors', head, rows);
}

/** Of the kernel's vxlan, of flannel's loop: the ratio, and the lowest to the highest of the rounds. */
function ratioTables({ kind, systems }: UnderlayResult, ratios: readonly Ratio[]): string {
  const titleOf = (name: string) => systems.find((system) => system.name === name)?.title ?? name;
  const tables = baselines.flatMap((of) => {
    const own = ratios.filter((ratio) => ratio.underlay === kind && ratio.of === of);
    const measured = comparedMeasures.filter((measure) => own.some((ratio) => ratio.measure === measure));
    if (measured.length === 0) return [];
    const shown = systems.filter(({ name }) => own.some(({ system }) => system === name));
    const rows = shown.map(({ name, title }) => {
      const cells = measured.map((measure) => {
        const found = own.find((ratio) => ratio.system === name && ratio.measure === measure)?.ratio;
        if (!found) return '<td>-</td>';
        const [median, low, high] = [found.median, found.low, found.high].map(figureText);
        return `<td>${median}<small>${low} to ${high}</small></td>`;
      });
      return `<tr><th scope="row">${escapeHtml(title)}</th>${cells.join('')}</tr>`;
    });
    const head = [`of ${titleOf(of)}`, ...measured.map((measure) => measureNamed(measure).title)].map(
      (text) => `<th scope="col">${escapeHtml(text)}</th>`,
    );
    return [table(`Ratios, of ${escapeHtml(titleOf(of))}`, head.join(''), rows)];
  });
  return tables.length === 0 ? '' : `<details><summary>Ratios</summary>${tables.join('\n')}</details>`;
}

/** Every measure that has a value, on every system: median, lowest to highest. */
function figureTable(underlay: UnderlayResult): string {
  const isMeasured = (measure: string) =>
    underlay.systems.some(({ name }) => summaryOf(underlay, name, measure));
  const shown = measures.filter(({ name }) => isMeasured(name) && !name.endsWith('.sender-limited'));
  const rows = shown.map(({ name: measure, title, unit }) => {
    const divisor = unit === 'packets/s' ? 1000 : 1;
    const cells = underlay.systems.map(({ name }) => {
      const summary = summaryOf(underlay, name, measure);
      if (!summary) return '<td>-</td>';
      const isLimited =
        measure.endsWith('.loss-free') &&
        (summaryOf(underlay, name, measure.replace('loss-free', 'sender-limited'))?.median ?? 0) > 0.5;
      const [median, low, high] = [summary.median, summary.low, summary.high].map((value) =>
        figureText(value / divisor),
      );
      return `<td>${median}${isLimited ? '*' : ''}<small>${low} to ${high}</small></td>`;
    });
    const shownUnit = divisor === 1 ? unit : `1000 ${unit}`;
    return `<tr><th scope="row">${escapeHtml(title)}<small>${escapeHtml(shownUnit)}</small></th>${cells.join('')}</tr>`;
  });
  const head = ['', ...underlay.systems.map(({ title }) => title)].map(
    (text) => `<th scope="col">${escapeHtml(text)}</th>`,
  );
  const all = table('All figures', head.join(''), rows);
  return `<details><summary>All figures</summary>${all}<p>*: the sender gave all it could and nothing was lost.</p></details>`;
}

function table(label: string, head: string, rows: readonly string[]): string {
  return `<div class="scroll"><table aria-label="${label}"><thead><tr>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`;
}

function remarks(result: BenchResult): string {
  const lines = [
    ...failureLines(result),
    ...result.absent.map(({ name, why }) => `Not measured: ${name}: ${why}`),
  ];
  if (lines.length === 0) return '';
  return `<section><h2>Remarks</h2><ul>${lines.map((line) => `<li>${escapeHtml(line)}</li>`).join('')}</ul></section>`;
}

function escapeHtml(text: string): string {
  const entities: { readonly [character: string]: string } = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
  };
  return text.replace(/[&<>"]/g, (character) => entities[character] ?? '');
}
