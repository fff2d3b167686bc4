/** Prometheus' text format, read strictly: https://prometheus.io/docs/instrumenting/exposition_formats/ */
import assert from 'node:assert/strict';

export interface ExposedValue {
  readonly name: string;
  readonly labels: { readonly [label: string]: string };
  readonly value: number;
}

export interface Exposition {
  readonly values: readonly ExposedValue[];
  /** Type by name. */
  readonly names: ReadonlyMap<string, string>;
  value(name: string, labels?: ExposedValue['labels']): number | undefined;
}

/** Throws where a line is no line of the format, has no help or type before it, or stands twice. */
export function readExposition(text: string): Exposition {
  const values: ExposedValue[] = [];
  const names = new Map<string, string>();
  const helped = new Set<string>();
  const seen = new Set<string>();
  assert.ok(text.endsWith('\n'));
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/.exec(line);
    if (comment) {
      const [, kind, name = '', rest = ''] = comment;
      if (kind === 'HELP') helped.add(name);
      else names.set(name, rest);
      continue;
    }
    const sample = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    assert.ok(sample, `no line of the format: ${line}`);
    const [, name = '', labelText = '', valueText = ''] = sample;
    const family = names.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '');
    assert.ok(names.has(family) && helped.has(family), `${name} has no help and type before it`);
    const labels = readLabels(labelText, line);
    const value = valueText === '+Inf' ? Number.POSITIVE_INFINITY : Number(valueText);
    assert.ok(!Number.isNaN(value) || /^nan$/i.test(valueText), `no number: ${line}`);
    const key = `${name} ${JSON.stringify(Object.entries(labels).sort())}`;
    assert.ok(!seen.has(key), `twice: ${line}`);
    seen.add(key);
    values.push({ name, labels, value });
  }
  const same = (a: ExposedValue['labels'], b: ExposedValue['labels']) =>
    JSON.stringify(Object.entries(a).sort()) === JSON.stringify(Object.entries(b).sort());
  return {
    values,
    names,
    value: (name, labels = {}) =>
      values.find((entry) => entry.name === name && same(entry.labels, labels))?.value,
  };
}

function readLabels(text: string, line: string): { [label: string]: string } {
  const labels: { [label: string]: string } = {};
  const pair = /([a-zA-Z_]\w*)="((?:[^"\\]|\\["\\n])*)"(,|$)/y;
  while (pair.lastIndex < text.length) {
    const found = pair.exec(text);
    assert.ok(found, `no labels: ${line}`);
    const [, name = '', value = ''] = found;
    labels[name] = value.replace(/\\(["\\n])/g, (_, escaped) => (escaped === 'n' ? '\n' : escaped));
  }
  return labels;
}
