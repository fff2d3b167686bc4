/** Programs that do what a test says, and note how they were called. */
import type { ToolResult, Tools } from '../../../src/firewall/tools.js';

export interface ToolCall {
  readonly file: string;
  readonly args: readonly string[];
  readonly input: string;
}

export class FakeTools implements Tools {
  readonly calls: ToolCall[] = [];
  readonly #programs: { readonly [name: string]: (call: ToolCall) => Partial<ToolResult> | string };

  /** By name; a text is standard output of a success. */
  constructor(programs: { readonly [name: string]: (call: ToolCall) => Partial<ToolResult> | string }) {
    this.#programs = programs;
  }

  find(name: string): string | null {
    return Object.hasOwn(this.#programs, name) ? name : null;
  }

  async run(file: string, args: readonly string[], input = ''): Promise<ToolResult> {
    const call = { file, args, input };
    this.calls.push(call);
    const answer = this.#programs[file]?.(call) ?? { status: 127 };
    const result = typeof answer === 'string' ? { stdout: answer } : answer;
    return { status: 0, stdout: '', stderr: '', ...result };
  }

  count(file: string): number {
    return this.calls.filter((call) => call.file === file).length;
  }
}
