/** What was found changed and has been put right, in words for people. Pure. */
import { type Entry, entryText } from './entry.js';
import type { Step } from './reconcile.js';

const NAMES: { readonly [kind in Entry['kind']]: string } = {
  route: 'routes',
  neighbour: 'neighbours',
  forwarding: 'forwarding entries',
  address: 'addresses',
};
const VERBS = {
  add: ['was gone', 'were gone'],
  set: ['had been changed', 'had been changed'],
  delete: ['was too much', 'were too much'],
} as const;

/** One line for each kind of change, by name where it is one alone. */
export function mendedTexts(steps: readonly Step[]): string[] {
  const groups = new Map<string, Step[]>();
  for (const step of steps) {
    const name = `${step.verb} ${step.entry.kind}`;
    const group = groups.get(name);
    if (group) group.push(step);
    else groups.set(name, [step]);
  }
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (!first) return [];
    const [one, many] = VERBS[first.verb];
    if (group.length === 1) return [`the ${entryText(first.entry)} ${one}`];
    return [`${group.length} ${NAMES[first.entry.kind]} ${many}, such as the ${entryText(first.entry)}`];
  });
}
