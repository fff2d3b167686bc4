/**
 * Keeps the host's rules as they should be: set before pods are told of this node, looked at again whenever the kernel says
 * that somebody has changed them, and now and then. Nothing is removed at the end: traffic of pods goes on without us.
 */
import type { FirewallChoice } from '../config/firewall-flags.js';
import type { NetConf } from '../config/net-conf.js';
import type { RunOptions } from '../config/run-options.js';
import { Firewall, type FirewallMode, type FirewallState } from '../firewall/firewall.js';
import { IPTABLES_PLACES } from '../firewall/iptables-text.js';
import { NFT_CHAINS, NFT_TABLES } from '../firewall/nft-text.js';
import type { OverlayRange } from '../firewall/rules.js';
import type { LeaseSubnets } from '../lease/lease.js';
import type { Netlink } from '../native/netlink.js';

import type { Logger } from '../observe/log.js';
import type { Clock } from './clock.js';
import { Mended } from './mended.js';
import type { SubnetEnv, SubnetEnvRead } from './subnet-env.js';
import type { FirewallStatus } from './told.js';

export interface FirewallKeeperParts {
  /** null: the host's rules are none of our business. */
  readonly firewall: Pick<Firewall, 'converge' | 'isDone'> | null;
  readonly mode: FirewallMode;
  readonly choice: FirewallChoice | null;
  readonly netlink: Pick<Netlink, 'watchNftables'>;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Between two looks where the kernel tells of no changes. */
  readonly resyncMs: number;
}

/** Names that tell of our rules, with iptables-nft or nft. */
const NAMES = {
  tables: [
    ...Object.values(NFT_TABLES).map(({ name }) => name),
    ...Object.values(IPTABLES_PLACES).map(({ table }) => table),
  ],
  chains: [
    ...Object.values(NFT_CHAINS).map(({ name }) => name),
    ...Object.values(IPTABLES_PLACES).flatMap(({ chain, parent }) => [chain, parent]),
  ],
};

/** Changes come in bursts. */
const SETTLE_MS = 20;
/** After each look: somebody who keeps changing rules must not keep us busy. */
const PAUSE_MS = 500;
const LOOK_ANYWAY_MS = 60_000;

export class FirewallKeeper {
  readonly #parts: FirewallKeeperParts;
  #state: FirewallState | null = null;
  #isRight: boolean | null = null;
  /** They have been right once: what differs from now on is somebody else's doing. */
  #areSet = false;
  readonly #mended = new Mended();
  #attempted: () => void = () => {};
  /** Resolves after the first look, whatever came of it. */
  readonly attempted = new Promise<void>((resolve) => {
    this.#attempted = resolve;
  });

  constructor(parts: FirewallKeeperParts) {
    this.#parts = parts;
  }

  /** Why the rules are not there, as far as is known: a look that sees nothing says nothing new. null: they are. */
  get missing(): string | null {
    if (!this.#parts.firewall) return null;
    if (!this.#state) return 'the rules of this host have not been looked at yet';
    if (this.#isRight === true) return null;
    return this.#state.troubles.join('; ') || 'rules are missing';
  }

  get hasTrouble(): boolean {
    return (this.#state?.troubles.length ?? 0) > 0;
  }

  /** Deviations put right since the rules were first right. */
  get mendedTotal(): number {
    return this.#mended.count;
  }

  /** For `twill status`; null: the host's rules are none of our business. */
  status(): FirewallStatus | null {
    const { firewall, choice, mode } = this.#parts;
    if (!firewall) return null;
    const { holder = null, troubles = [], lacksRandomPorts = false } = this.#state ?? {};
    return {
      ...{ mode, holder, masquerade: choice?.masquerade ?? false, forward: choice?.forward ?? false },
      randomPorts: (choice?.randomPorts ?? false) && !lacksRandomPorts,
      isRight: this.#isRight,
      troubles: [...troubles],
      mended: this.#mended.status(),
    };
  }

  /** Until `signal` aborts, or until there is nothing to keep. */
  async keep(signal: AbortSignal): Promise<void> {
    const { firewall, clock } = this.#parts;
    if (!firewall) return this.#attempted();
    let isChanged = false;
    let wake = () => {};
    const watch = this.#watch(() => {
      isChanged = true;
      wake();
    });
    try {
      for (let mendedInARow = 0; !signal.aborted; ) {
        // Before the look: what changes while it lasts is looked at again.
        isChanged = false;
        const hasMended = await this.#look(firewall);
        if (firewall.isDone) return;
        mendedInARow = hasMended ? mendedInARow + 1 : 0;
        await clock.sleep(this.#pauseMs(mendedInARow), signal);
        if (!isChanged && !signal.aborted) {
          const changed = new AbortController();
          wake = () => changed.abort();
          await clock.sleep(this.#waitMs(watch !== null), AbortSignal.any([signal, changed.signal]));
        }
        if (isChanged) await clock.sleep(SETTLE_MS, signal);
      }
    } finally {
      this.#attempted();
      watch?.stop();
    }
  }

  /** Whether something was put right that had been right before. */
  async #look(firewall: Pick<Firewall, 'converge'>): Promise<boolean> {
    const { clock, logger } = this.#parts;
    const [before, wereSet] = [this.#state, this.#areSet];
    const state = await firewall.converge();
    const { holder, mended, troubles, isRight } = state;
    this.#state = state;
    if (isRight !== null) this.#isRight = isRight;
    this.#areSet ||= isRight === true;
    this.#attempted();
    if (!wereSet) {
      if (mended.length > 0)
        logger.info({ holder, changes: mended }, `rules of this host are set: ${holder ?? 'none'}`);
    } else {
      for (const what of mended) {
        logger.warn({ holder }, `rules of this host were not as they should be: ${what}`);
        this.#mended.note(what, clock.nowMs());
      }
    }
    const [then, now] = [before?.troubles.join('; ') ?? '', troubles.join('; ')];
    if (now !== '' && now !== then) logger.error({ troubles }, `rules of this host: ${now}`);
    else if (now === '' && then !== '')
      logger.info({ holder }, 'rules of this host are as they should be again');
    if (state.lacksRandomPorts && !before?.lacksRandomPorts)
      logger.warn(
        { holder },
        'this host cannot masquerade with random ports: the rules are set without them',
      );
    return wereSet && mended.length > 0;
  }

  /** Whoever sets other rules again and again is followed ever more slowly. */
  #pauseMs(mendedInARow: number): number {
    return Math.min(PAUSE_MS * 2 ** Math.max(mendedInARow - 3, 0), Math.max(this.#parts.resyncMs, PAUSE_MS));
  }

  /** null: this kernel does not tell. */
  #watch(listener: () => void): { stop(): void } | null {
    const { netlink, logger } = this.#parts;
    try {
      return netlink.watchNftables(NAMES, listener);
    } catch (error) {
      logger.debug({ err: error }, 'the kernel does not tell of changes of its rules');
      return null;
    }
  }

  #waitMs(hasNews: boolean): number {
    const { resyncMs } = this.#parts;
    const { holder, troubles } = this.#state ?? { holder: null, troubles: [] };
    // iptables-legacy changes without a word.
    const isTold = hasNews && holder !== null && !holder.endsWith('legacy') && troubles.length === 0;
    return isTold ? Math.max(resyncMs, LOOK_ANYWAY_MS) : resyncMs;
  }
}

/** What the agent's options, the cluster and an earlier run's subnet.env amount to. */
export function firewallOf(
  { firewall: asked, resyncSeconds }: Pick<RunOptions, 'firewall' | 'resyncSeconds'>,
  { enableNftables }: Pick<NetConf, 'enableNftables'>,
  { networks, subnets }: Pick<SubnetEnv, 'networks' | 'subnets'>,
  earlier: SubnetEnvRead | null,
): Pick<FirewallKeeperParts, 'firewall' | 'choice' | 'mode' | 'resyncMs'> {
  // An earlier run masqueraded and this one was not told to: its rules go.
  const choice = asked ?? (earlier?.ipMasq ? NO_CHOICE : null);
  const mode = enableNftables ? 'nftables' : 'iptables';
  const ranges = rangesOf(networks, subnets);
  const before = earlier ? rangesOf(earlier.networks, earlier.subnets) : [];
  const firewall = choice && new Firewall({ mode, choice, ranges, earlier: before });
  return { firewall, choice, mode, resyncMs: resyncSeconds * 1000 };
}

const NO_CHOICE: FirewallChoice = { masquerade: false, forward: false, randomPorts: false };

function rangesOf(networks: LeaseSubnets, subnets: LeaseSubnets): OverlayRange[] {
  return (['v4', 'v6'] as const).flatMap((family) => {
    const [network, subnet] = [networks[family], subnets[family]];
    return network && subnet ? [{ network, subnet }] : [];
  });
}
