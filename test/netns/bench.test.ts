/** The benchmark itself, small: it measures, judges, draws what a real browser shows, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chartsOf } from '../../src/lab/bench/report/charts.js';
import { loadRenderer } from '../../src/lab/bench/report/render.js';
import { reportHtml } from '../../src/lab/bench/report/report.js';
import type { BenchResult } from '../../src/lab/bench/result.js';
import { wholeResult } from '../support/bench-result.js';
import { documentOf } from '../support/browser.js';

const cli = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

async function folder(t: TestContext): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'twill-bench-test-'));
  t.after(() => rm(made, { recursive: true, force: true }));
  return made;
}

interface Bench {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
  /** Processes that it started and that still run. */
  left(): Promise<string[]>;
}

/** `twill bench` with a temporary folder of its own; its processes are known by a variable that they inherit. */
function bench(t: TestContext, temporary: string, ...flags: string[]): Bench {
  const mark = `TWILL_TEST_MARK=${temporary}`;
  const env = { ...process.env, TMPDIR: temporary, TWILL_TEST_MARK: temporary };
  const child = spawn(process.execPath, [cli, 'bench', ...flags], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name]?.setEncoding('utf8').on('data', (part: string) => {
      text[name] += part;
    });
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, ...text }));
  const left = async () => {
    const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const found = processes.map(async (pid) => {
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
      if (!environment.split('\0').includes(mark)) return [];
      return [(await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ')];
    });
    return (await Promise.all(found)).flat();
  };
  return { child, ended, left };
}

test('a tiny run measures two systems on both underlays, and its report shows charts in a browser', {
  timeout: 180_000,
}, async (t) => {
  const [temporary, out] = [await folder(t), await folder(t)];
  const html = join(out, 'report.html');
  const json = join(out, 'result.json');
  const flags = ['--quick', '--rounds=1', '--systems=kernel,twill-vxlan', `--html=${html}`, `--json=${json}`];
  const run = bench(t, temporary, ...flags);
  const { code, stdout, stderr } = await run.ended;
  assert.ok(code === 0 || code === 1, stderr);
  assert.match(stdout, /^TCP 1 stream, of kernel vxlan +\d/m);
  assert.match(stdout, /== redirect wire, medians of 1 round ==/);
  // A floor that is missed, or could not be judged, and only that, fails the run and is named.
  assert.equal(code === 1, /^twill: floor (missed|unknown): (veth|wire): /m.test(stderr), stderr);
  const result = JSON.parse(await readFile(json, 'utf8')) as BenchResult;
  assert.deepEqual(result.failures, []);
  for (const { kind, systems } of result.underlays) {
    for (const { name, samples, failure } of systems) {
      assert.equal(failure, null);
      for (const measure of ['tcp1.rate', 'tcp4.rate', 'udp64.overload', 'rtt-idle.p50'])
        assert.ok((samples[measure]?.[0] ?? 0) > 0, `${kind} ${name} ${measure}`);
      const meanBytes = samples['tcp1.wire']?.[0] ?? 0;
      if (kind === 'wire')
        assert.ok(meanBytes > 1000 && meanBytes <= 1514, `${name}: ${meanBytes} bytes a packet`);
      else
        assert.ok(meanBytes > 3000, `${name}: super-packets stay whole on a plain veth: ${meanBytes} bytes`);
    }
  }
  const shown = await documentOf(html);
  // TCP, packets, idle round-trip times, and processor time where others left it to be measured.
  const charts = result.underlays.flatMap(chartsOf);
  assert.ok(charts.length >= 6, `${charts.length} charts`);
  assert.equal(shown.match(/<svg /g)?.length, charts.length);
  assert.match(shown, /<text[^>]*>kernel vxlan<\/text>/);
  assert.deepEqual(await run.left(), []);
  assert.deepEqual(await readdir(temporary), []);
});

test('stopped in the middle it removes all that it made', { timeout: 60_000 }, async (t) => {
  const temporary = await folder(t);
  const run = bench(t, temporary, '--systems=kernel,twill-vxlan,loop', '--underlay=wire', '--seconds=30');
  // 30 s of TCP are under way.
  const isBusy = async () => (await run.left()).some((command) => command.startsWith('iperf3 -c'));
  while (!(await isBusy())) {
    assert.equal(run.child.exitCode, null, 'it still runs');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  run.child.kill('SIGTERM');
  const { code, stderr } = await run.ended;
  assert.equal(code, 1);
  assert.match(stderr, /^twill: stopped; all that was made is removed$/m);
  assert.deepEqual(await run.left(), []);
  assert.deepEqual(await readdir(temporary), []);
});

/** Runs in the page: tells of SVG text that lies on other text or outside of its picture. */
const findTroubleInPage = `
  const trouble = [];
  for (const svg of document.querySelectorAll('svg')) {
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].map((e) => ({ text: e.textContent, box: e.getBoundingClientRect() }));
    for (const [i, a] of texts.entries()) {
      const isOutside = a.box.left < frame.left || a.box.right > frame.right || a.box.bottom > frame.bottom + 1;
      if (isOutside) trouble.push('outside: ' + a.text);
      for (const b of texts.slice(i + 1)) {
        const x = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
        const y = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
        if (x > 1 && y > 4) trouble.push('overlap: ' + a.text + ' / ' + b.text);
      }
    }
  }
  const page = document.documentElement;
  if (page.scrollWidth > page.clientWidth) trouble.push('wider than the window');
  document.body.dataset.trouble = JSON.stringify(trouble);
`;

test('in a report with everything no label overlaps another or is cut off', {
  timeout: 120_000,
}, async (t) => {
  const file = join(await folder(t), 'report.html');
  const html = reportHtml(wholeResult(), await loadRenderer());
  assert.doesNotMatch(html, /<script|https?:\/\/(?!www\.w3\.org)/, 'it needs no script and loads nothing');
  assert.match(html, /twill bench --html=&lt;report&gt;\.html/);
  await writeFile(file, html.replace('</body>', `<script>${findTroubleInPage}</script></body>`));
  const shown = await documentOf(file);
  assert.equal(shown.match(/<svg /g)?.length, 16);
  assert.ok((shown.match(/<text /g)?.length ?? 0) > 300);
  assert.equal(/data-trouble="([^"]*)"/.exec(shown)?.[1], '[]');
});
