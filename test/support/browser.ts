/** A page in headless Chromium: its document after scripts have run, as HTML. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const flags = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-sync', '--no-first-run', '--window-size=1440,1000'],
];

/** `page`: a file, or an address that begins with `http`. */
export async function documentOf(page: string): Promise<string> {
  const url = page.startsWith('http') ? page : pathToFileURL(page).href;
  const profile = await mkdtemp(join(tmpdir(), 'twill-chromium-'));
  try {
    const argv = [...flags, `--user-data-dir=${profile}`, '--dump-dom', url];
    const options = { timeout: 90_000, maxBuffer: 1 << 26 };
    return (await promisify(execFile)('chromium', argv, options)).stdout;
  } finally {
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
