import type { BenchResult } from '../result.js';
import type { Renderer } from './render.js';
export function reportHtml(_result: BenchResult, _render: Renderer): string {
  return '';
}
