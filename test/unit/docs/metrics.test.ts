/** The metrics of docs/operations.md and of the Grafana dashboard against those that there are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics, type MetricsSample } from '../../../src/observe/metrics.js';
import { plain, readDocument, tableRows } from '../../support/documents.js';
import { readExposition } from '../../support/exposition.js';
import { metricsSample } from '../../support/metrics-sample.js';

async function exposition(sample: MetricsSample) {
  const metrics = await Metrics.open(() => sample);
  return readExposition((await metrics.page()).text);
}

const there = await exposition(metricsSample());
/** All labels that the values of a metric have. */
function labelsOf(name: string): string[] {
  const own = there.values.filter((value) => value.name.replace(/_(bucket|sum|count)$/, '') === name);
  const exact = own.length > 0 ? own : there.values.filter((value) => value.name === name);
  return [...new Set(exact.flatMap(({ labels }) => Object.keys(labels)))].sort();
}

test('every metric is in the document with its type and labels, and no other is', () => {
  const written = tableRows(readDocument('docs/operations.md'), 'metric', 'type');
  assert.deepEqual(written.map(([name, type]) => [plain(name), type]).sort(), [...there.names].sort());
  for (const [name = '', , labels, meaning = ''] of written) {
    assert.ok(meaning.length > 10, `${name} says what it is`);
    // Collections may not have happened yet, and requests may be none.
    const seen = labelsOf(plain(name));
    if (seen.length > 0)
      assert.deepEqual(plain(labels).split(' ').filter(Boolean).sort(), seen, `labels of ${name}`);
  }
});

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat?: string }[];
}
const dashboard = JSON.parse(readDocument('deploy/grafana/twill.json')) as {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: unknown }[] };
};
const metricName = /\b(?:twill|process|nodejs)_[a-z0-9_]+\b/g;

test('the dashboard asks only for metrics and labels that there are', () => {
  const asked = new Set<string>();
  for (const { title, type, targets = [] } of dashboard.panels) {
    if (type === 'row') continue;
    assert.ok(targets.length > 0, title);
    for (const { expr, legendFormat = '' } of targets) {
      const names = expr.match(metricName) ?? [];
      assert.ok(names.length > 0, `${title}: ${expr}`);
      const labels = new Set(['instance', ...names.flatMap(labelsOf)]);
      for (const name of names) {
        assert.ok(there.names.has(name), `${title} asks for ${name}`);
        asked.add(name);
        // A counter means something only as a rate.
        if (there.names.get(name) === 'counter')
          assert.match(expr, new RegExp(`rate\\(${name}\\b`), `${title}: ${expr}`);
      }
      const grouped = [...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, list = '']) =>
        list.split(/,\s*/),
      );
      const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label);
      const picked = [...expr.matchAll(/[{,](\w+)=/g)].map(([, label = '']) => label);
      for (const label of [...grouped, ...shown, ...picked])
        assert.ok(labels.has(label), `${title}: no label ${label} in ${expr}`);
    }
  }
  assert.ok(asked.size > 20, 'most of what there is is shown');
  for (const { query } of dashboard.templating.list)
    for (const name of JSON.stringify(query).match(metricName) ?? []) assert.ok(there.names.has(name), name);
});

test('the panels of the dashboard have numbers and places of their own', () => {
  const { panels } = dashboard;
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  for (const [n, { title, gridPos: a }] of panels.entries()) {
    assert.ok(a.x + a.w <= 24, title);
    for (const { title: other, gridPos: b } of panels.slice(n + 1)) {
      const apart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
      assert.ok(apart, `${title} lies over ${other}`);
    }
  }
});
