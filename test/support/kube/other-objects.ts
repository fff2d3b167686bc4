/**
 * What manifests bring beside nodes and pods, as far as kubectl goes with it: made, read, listed, merged, deleted. Nobody acts
 * on it here; a test that plays a controller reads it, and writes its status.
 */
import { ApiError } from './objects.js';
import { merge, patchKind } from './patch.js';

const NAMESPACE_EMPTY_AFTER_MS = 3000;

type Fields = { [field: string]: unknown };
interface OtherObject extends Fields {
  metadata: { name: string; generation: number; resourceVersion: string; [field: string]: unknown };
  spec?: unknown;
}

export interface ObjectRequest {
  readonly method: string;
  readonly path: string;
  readonly query: { readonly [name: string]: string };
  readonly body: Fields | null;
  readonly type: string | undefined;
}

const COLLECTION = new RegExp(
  '^/(?:api/v1/namespaces|api/v1/namespaces/[^/]+/(?:serviceaccounts|configmaps)|' +
    'apis/apps/v1/namespaces/[^/]+/daemonsets|apis/rbac\\.authorization\\.k8s\\.io/v1/clusterrole(?:s|bindings))$',
);

export class OtherObjects {
  readonly #objects = new Map<string, OtherObject>();
  #version = 0;

  /** Whether a path is one of these, or of their collections. */
  has(path: string): boolean {
    return COLLECTION.test(path) || COLLECTION.test(collectionOf(path));
  }

  get(path: string): OtherObject {
    const object = this.#objects.get(path);
    if (object) return object;
    throw new ApiError(404, 'NotFound', `${kindsOf(path)} "${path.split('/').at(-1)}" not found`);
  }

  setStatus(path: string, status: object): void {
    this.#objects.set(path, { ...this.get(path), status });
  }

  answer({ method, path, query, body, type }: ObjectRequest): object {
    if (COLLECTION.test(path))
      return method === 'POST' ? this.#create(path, body ?? {}) : this.#list(path, query);
    switch (method) {
      case 'GET':
        return this.get(path);
      case 'PATCH':
        return this.#write(path, merge(this.get(path), body ?? {}, patchKind(type), '') as OtherObject);
      case 'DELETE':
        this.get(path);
        this.#objects.delete(path);
        this.#empty(path);
        return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 200 };
    }
    throw new ApiError(
      405,
      'MethodNotAllowed',
      'the server does not allow this method on the requested resource',
    );
  }

  /** What is in a namespace goes with it, a while later. */
  #empty(namespacePath: string): void {
    const doomed = [...this.#objects].filter(([path]) => inNamespace(path, namespacePath));
    setTimeout(() => {
      for (const [path, { metadata }] of doomed)
        if (this.#objects.get(path)?.metadata['uid'] === metadata['uid']) this.#objects.delete(path);
    }, NAMESPACE_EMPTY_AFTER_MS).unref();
  }

  #create(collection: string, body: Fields): OtherObject {
    const given = (body['metadata'] ?? {}) as Fields;
    const name = String(given['name'] ?? '');
    if (name === '') throw new ApiError(422, 'Invalid', 'metadata.name: Required value');
    const [, namespace] = /\/namespaces\/([^/]+)\/\w+$/.exec(collection) ?? [];
    if (namespace !== undefined && namespace !== 'kube-system') this.get(`/api/v1/namespaces/${namespace}`);
    const path = `${collection}/${name}`;
    if (this.#objects.has(path))
      throw new ApiError(409, 'AlreadyExists', `${kindsOf(path)} "${name}" already exists`);
    const uid = `00000000-0000-4000-9000-${(this.#version + 1).toString(16).padStart(12, '0')}`;
    const metadata = { ...given, name, uid, generation: 0, resourceVersion: '0' };
    return this.#write(path, { ...body, metadata });
  }

  /** Its generation counts changes of the spec. */
  #write(path: string, object: OtherObject): OtherObject {
    const before = this.#objects.get(path);
    const isSame = before && JSON.stringify(before.spec) === JSON.stringify(object.spec);
    const generation = object.metadata.generation + (isSame ? 0 : 1);
    const written = {
      ...object,
      metadata: { ...object.metadata, generation, resourceVersion: String(++this.#version) },
    };
    this.#objects.set(path, written);
    return written;
  }

  #list(collection: string, { fieldSelector = '' }: ObjectRequest['query']): object {
    const [, name] = /^metadata\.name=(.+)$/.exec(fieldSelector) ?? [];
    const found = [...this.#objects].filter(([path]) => collectionOf(path) === collection);
    const items = found.map(([, object]) => object).filter(({ metadata }) => !name || metadata.name === name);
    const apiVersion = collection.replace(/^\/apis?\//, '').replace(/\/(?:namespaces|cluster).*/, '');
    return { kind: 'List', apiVersion, metadata: { resourceVersion: String(this.#version) }, items };
  }
}

function collectionOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

function kindsOf(path: string): string {
  return path.split('/').at(-2) ?? '';
}

function inNamespace(key: string, namespacePath: string): boolean {
  const [, name] = /^\/api\/v1\/namespaces\/([^/]+)$/.exec(namespacePath) ?? [];
  return name !== undefined && key.includes(`/namespaces/${name}/`);
}
