/** What the kernel takes for a device's name (dev_valid_name): 1 to 15 bytes without space, "/" or ":". */
export function isDeviceName(name: string): boolean {
  const bytes = new TextEncoder().encode(name).length;
  return bytes <= 15 && /^[^\s/:\0]+$/.test(name) && name !== '.' && name !== '..';
}
