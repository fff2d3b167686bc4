/** Files that other hands can reach, or that must outlive a crash in one piece. */
import { randomBytes } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** A regular file to read; follows no link, waits for no FIFO. Throws the system's error or a reason. */
export async function openRegularFile(
  path: string,
  longestBytes: number,
): Promise<{ file: FileHandle; stats: BigIntStats }> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = await file.stat({ bigint: true });
    if (!stats.isFile()) throw new Error('not a regular file');
    if (stats.size > BigInt(longestBytes)) throw new Error(`larger than ${longestBytes} bytes`);
    return { file, stats };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Replaces a file in one step: readers see the old one or the new one, also after a crash. `mode` whatever the umask. */
export async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  const name = `.${basename(path)}.${process.pid}.${randomBytes(6).toString('hex')}`;
  const temporary = join(dirname(path), name);
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      await file.writeFile(text);
      await file.chmod(mode);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
}
