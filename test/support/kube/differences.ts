/** What two sets of objects differ in, place by place. */
import type { Manifest } from './manifests.js';

export interface Difference {
  readonly before?: unknown;
  readonly after?: unknown;
}

/** By place, such as `DaemonSet twill: spec.template.spec.hostNetwork`; lists are compared as wholes where their lengths differ. */
export function differences(
  before: readonly Manifest[],
  after: readonly Manifest[],
): { [place: string]: Difference } {
  const [was, is] = [before, after].map(
    (manifests) => new Map(manifests.map((manifest) => [nameOf(manifest), manifest])),
  ) as [Map<string, Manifest>, Map<string, Manifest>];
  const found: { [place: string]: Difference } = {};
  for (const name of new Set([...was.keys(), ...is.keys()]))
    compare(`${name}:`, was.get(name), is.get(name), found);
  return found;
}

function nameOf({ kind, metadata }: Manifest): string {
  return `${kind} ${metadata.name}`;
}

function compare(
  place: string,
  before: unknown,
  after: unknown,
  found: { [place: string]: Difference },
): void {
  if (JSON.stringify(before) === JSON.stringify(after)) return;
  const [a, b] = [before, after].map((value) => (typeof value === 'object' && value !== null ? value : null));
  const isSameList =
    Array.isArray(a) === Array.isArray(b) && (!Array.isArray(a) || a.length === (b as unknown[]).length);
  if (!a || !b || !isSameList) {
    found[place] = { ...(before !== undefined && { before }), ...(after !== undefined && { after }) };
    return;
  }
  const [x, y] = [a, b] as [{ [key: string]: unknown }, { [key: string]: unknown }];
  for (const key of new Set([...Object.keys(x), ...Object.keys(y)]))
    compare(place.endsWith(':') ? `${place} ${key}` : `${place}.${key}`, x[key], y[key], found);
}
