/** `bench/micro`: single operations, in TypeScript, across the addon's door, and natively against the naive way. */
import { runNative } from '../native.js';
import { nativeTable, speedTable } from '../report.js';
import { codecSpeeds } from './codec.js';
import { callSpeeds, tableSpeeds } from './dataplane.js';

export async function runMicro(print: (line: string) => void): Promise<void> {
  const show = (lines: readonly string[]) => lines.forEach(print);
  show(speedTable('codecs in TypeScript', codecSpeeds()));
  show(speedTable('calls into the addon', await callSpeeds()));
  show(speedTable('peer table', await tableSpeeds()));
  show(nativeTable('native loops', runNative('micro')));
}
