// Makes a namespace with a process in it that would live long, prints the pids of both, and waits to be killed.
import { Namespace } from '../../src/lab/namespace.js';

const namespace = await Namespace.create('held');
const child = namespace.spawn('sleep', ['600'], { stdio: 'ignore' });
console.log(JSON.stringify([namespace.pid, child.pid]));
