/** The service manager's end of sd_notify: a Unix datagram socket, which Node has none of, so Python holds it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';

const receiver = `
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
s.bind(chr(0) + name[1:] if name.startswith("@") else name)
print(json.dumps("bound"), flush=True)
while True:
    print(json.dumps(s.recv(65536).decode()), flush=True)
`;

export interface NotifySocket {
  /** For $NOTIFY_SOCKET. */
  readonly path: string;
  /** Datagrams in their order. */
  readonly received: readonly string[];
  readonly process: ChildProcess;
}

/** `path`: of a file, or "@" and a name in the abstract namespace. */
export async function notifySocket(t: TestContext, path: string): Promise<NotifySocket> {
  const child = spawn('python3', ['-c', receiver, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const end = once(child, 'exit');
    child.kill('SIGKILL');
    await end;
  });
  const received: string[] = [];
  const lines = createInterface({ input: child.stdout });
  const bound = once(lines, 'line');
  await bound;
  lines.on('line', (line) => received.push(JSON.parse(line) as string));
  return { path, received, process: child };
}
