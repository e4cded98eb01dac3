/** What reaches a guest from outside. Each becomes an entry of the log, at the icount where it is applied. */
import type { DiskCompletion } from '../../devices/environment.js';
import type { Control } from '../log/entry.js';

export type Input =
  | { readonly kind: 'packet'; readonly nic: number; readonly data: Uint8Array }
  | { readonly kind: 'disk'; readonly completion: DiskCompletion }
  | { readonly kind: 'serial'; readonly data: Uint8Array }
  | { readonly kind: 'control'; readonly control: Control };
