/** `bench/path`: the packet path from memory to memory, natively. */
import { runNative } from '../native.js';
import { nativeTable } from '../report.js';

export function runPath(print: (line: string) => void): void {
  for (const line of nativeTable('packet path, memory to memory', runNative('path'))) print(line);
}
