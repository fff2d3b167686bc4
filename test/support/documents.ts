/** Documents as tests read them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../..', import.meta.url));

/** `path` from the root of the repository. */
export function readDocument(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** The cells of the tables in a document whose header begins with these cells. */
export function tableRows(text: string, ...header: readonly string[]): string[][] {
  const rows: string[][] = [];
  let isInside = false;
  for (const line of text.split('\n')) {
    if (!line.startsWith('|')) {
      isInside = false;
      continue;
    }
    const cells = line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim());
    if (isInside && !cells.every((cell) => /^-+$/.test(cell))) rows.push(cells);
    isInside ||= header.every((cell, column) => cells[column] === cell);
  }
  return rows;
}

/** `code` without its ticks. */
export function plain(cell: string | undefined): string {
  return (cell ?? '').replaceAll('`', '');
}
