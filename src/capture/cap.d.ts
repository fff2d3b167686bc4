/** The package has no types of its own. What of it `interface.ts` uses. */
declare module 'cap' {
  export class Cap {
    /** The link type's name. Keeps a bare pointer to `buffer`. */
    open(device: string, filter: string, bufferBytes: number, buffer: Buffer): string;
    close(): void;
    on(event: 'packet', listener: (bytes: number, isCut: boolean) => void): this;
  }
  const exported: { readonly Cap: typeof Cap };
  export default exported;
}
