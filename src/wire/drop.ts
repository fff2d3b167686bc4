/**
 * Why bytes are not what they should be. Decoders return it instead of throwing, for bytes come from anybody:
 *
 *    const ip = decodeIp(bytes);
 *    if ('drop' in ip) return ip.drop;
 */
export interface Drop<Reason extends string = string> {
  /** A word for it, which the decoder's docstring explains. */
  readonly drop: Reason;
}
