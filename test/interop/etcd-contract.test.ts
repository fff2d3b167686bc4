/** The contract of stores, kept by the etcd store as a program opens it. */
import { openEtcdStore } from '../../src/agent.js';
import { noEtcd, startEtcd } from '../support/etcd.js';
import { config, storeContract } from '../support/store-contract.js';

storeContract(
  'etcd',
  async (t) => {
    const etcd = await startEtcd(t);
    await etcd.put('config', config);
    const { endpoints, prefix } = etcd.options();
    const open = () => openEtcdStore({ endpoints, prefix });
    return { stores: [await open(), await open()] };
  },
  { skip: noEtcd() },
);
