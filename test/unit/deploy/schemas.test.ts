/** Everything in deploy/kubernetes against the schemas of Kubernetes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Manifest, readManifests } from '../../support/kube/manifests.js';
import { schemaFaults } from '../../support/kube/schemas.js';

test('twill.yml: every object is one that Kubernetes knows, with fields that it knows', async () => {
  assert.deepEqual(await schemaFaults(readManifests()), []);
});

test('what is wrong is found: a field, a type, a value that is missing, a kind', async () => {
  const wrong = async (change: (text: string) => string) => {
    const text = JSON.stringify(readManifests());
    const changed = change(text);
    assert.notEqual(changed, text);
    return (await schemaFaults(JSON.parse(changed) as Manifest[])).join('\n');
  };
  assert.match(await wrong((text) => text.replace('"hostNetwork"', '"hostNetwrok"')), /hostNetwrok/);
  assert.match(await wrong((text) => text.replace('"readOnly', '"readonly')), /readonlyRootFilesystem/);
  assert.match(
    await wrong((text) => text.replace('"containerPort":8081', '"containerPort":"8081"')),
    /containerPort/,
  );
  assert.match(await wrong((text) => text.replace('"selector":', '"selectors":')), /selector/);
  assert.match(
    await wrong((text) => text.replace('"kind":"DaemonSet"', '"kind":"DemonSet"')),
    /no such kind/,
  );
});
