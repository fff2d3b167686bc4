// Preloaded (`node --import`) into a process: SIGUSR2 keeps its JavaScript thread busy for three seconds, as a long
// garbage collection or a careless embedder would; a line on stderr when that begins and when it ends.
const BLOCKED_MS = 3000;

process.on('SIGUSR2', () => {
  process.stderr.write('blocked\n');
  const endMs = performance.now() + BLOCKED_MS;
  while (performance.now() < endMs);
  process.stderr.write('unblocked\n');
});
