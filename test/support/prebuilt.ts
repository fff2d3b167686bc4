/** The addons that come with the package, as native/prebuild.mjs makes them. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './documents.js';

export const prebuiltFolder = join(root, 'prebuilds');
/** The one for this machine, which is the ordinary build. */
export const OWN_TARGET = `linux-${process.arch}-glibc`;
/** null: nothing here compiles it. */
export const MUSL_TARGET = process.arch === 'x64' ? 'linux-x64-musl' : null;

/** Where the addon for `target` is, made anew if a source is younger. `npm test` has made those that the tests want. */
export function prebuilt(target: string): string {
  const [platform, arch, libc] = target.split('-');
  const path = join(prebuiltFolder, `${platform}-${arch}`, `twill.${libc}.node`);
  const sources = readdirSync(join(root, 'native'), { recursive: true, encoding: 'utf8' });
  const isYounger = (name: string) => statSync(join(root, name)).mtimeMs > statSync(path).mtimeMs;
  if (!existsSync(path) || ['binding.gyp', ...sources.map((name) => join('native', name))].some(isYounger))
    execFileSync(process.execPath, ['native/prebuild.mjs', target], { cwd: root, stdio: 'pipe' });
  return path;
}
