/**
 * Who may use whom: the one place that says so. docs/architecture.md shows the picture; test/unit/layering.test.ts
 * reads every import and include and enforces it.
 *
 * A layer is a folder of src/ or native/, or a file that stands beside the folders. It may use itself and what it lists.
 * A folder that is not here has no place in the house yet: give it one.
 */

export interface TypeScriptLayer {
  readonly uses: readonly string[];
  /** Packages from npm. */
  readonly packages?: readonly string[];
  /** Values in, values out: nothing of Node or npm, no clock, no chance, no timer, no process. */
  readonly isPure?: true;
  /** May write to the console and end the process. */
  readonly ownsProcess?: true;
}

const values = ['errors.ts', 'net'] as const;
const leases = [...values, 'config', 'lease'] as const;

export const typeScriptLayers: { readonly [layer: string]: TypeScriptLayer } = {
  'errors.ts': { uses: [], isPure: true },
  net: { uses: ['errors.ts'], isPure: true },
  wire: { uses: values, isPure: true },
  config: { uses: values, isPure: true },
  lease: { uses: [...values, 'config'], isPure: true },
  backend: { uses: leases, isPure: true },
  native: { uses: values },
  // Capture files.
  pcap: { uses: ['errors.ts'], isPure: true },
  observe: { uses: values, packages: ['pino', 'prom-client'] },
  store: { uses: [...leases, 'native'], packages: ['@grpc/grpc-js', 'yaml'] },
  dataplane: { uses: [...leases, 'backend', 'native'] },
  // The host's rules, by the host's own programs.
  firewall: { uses: [...values, 'config'] },
  agent: { uses: [...leases, 'backend', 'dataplane', 'firewall', 'native', 'observe', 'store'] },
  // Drives agents from outside, as processes.
  lab: { uses: [...values, 'config', 'native', 'observe'], packages: ['echarts'] },
  // What passes a node, and how a peer is reached: for the commands, beside the agent.
  capture: { uses: [...values, 'native', 'observe', 'pcap', 'wire'], packages: ['cap'] },
  probe: { uses: [...values, 'native', 'wire'], packages: ['raw-socket'] },
  // Puts the parts together, and asks a running agent.
  cli: {
    uses: [...values, 'agent', 'capture', 'config', 'lab', 'observe', 'probe', 'store', 'wire'],
    ownsProcess: true,
  },
  'index.ts': { uses: [...values, 'backend', 'config', 'dataplane'] },
  'agent.ts': { uses: [...values, 'agent', 'config', 'observe', 'store'] },
  // What a browser can load: nothing that is not pure lies behind it.
  'codec.ts': { uses: [...values, 'wire'], isPure: true },
};

export interface NativeLayer {
  readonly uses: readonly string[];
  /** Bytes in, bytes out: no header of the system, no clock, no descriptor, no thread, no stream. */
  readonly isPure?: true;
  /** May include Node-API and libuv. */
  readonly seesNode?: true;
}

export const nativeLayers: { readonly [layer: string]: NativeLayer } = {
  base: { uses: [] },
  wire: { uses: ['base'], isPure: true },
  table: { uses: ['base'], isPure: true },
  buffer: { uses: ['base'] },
  offload: { uses: ['base', 'buffer', 'wire'] },
  encap: { uses: ['base', 'buffer', 'table', 'wire'], isPure: true },
  path: { uses: ['base', 'buffer', 'encap', 'table', 'wire'], isPure: true },
  port: { uses: ['base', 'buffer', 'offload', 'wire'] },
  // Time comes in from the worker.
  tap: { uses: ['base', 'buffer'], isPure: true },
  // Not `encap`: which encapsulation it is stays in path/tunnel.cc.
  engine: { uses: ['base', 'buffer', 'offload', 'path', 'port', 'table', 'tap'] },
  // Set-up and watching: no packet ever waits for it.
  netlink: { uses: ['base'] },
  // Load for the demo and the tests; the product does not know it.
  traffic: { uses: ['base'] },
  binding: { uses: ['base', 'engine', 'netlink', 'port', 'traffic'], seesNode: true },
};
