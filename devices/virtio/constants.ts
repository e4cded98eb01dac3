/**
 * Numbers of the virtio specification that more than one file of this folder needs.
 *
 * Source: OASIS Virtual I/O Device (VIRTIO) Version 1.2, sections 2.1 (status), 2.7 (split virtqueues),
 * 4.1.5 (ISR) and 6 (reserved feature bits).
 */

/** PCI vendor of every virtio device (4.1.2). */
export const VIRTIO_PCI_VENDOR = 0x1af4;

/** Device status bits (2.1). */
export const STATUS_DRIVER_OK = 0x04;
export const STATUS_FEATURES_OK = 0x08;
export const STATUS_NEEDS_RESET = 0x40;
/** What a driver may set: ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, FAILED. */
export const STATUS_DRIVER_BITS = 0x8f;

/** ISR status bits (4.1.4.5). */
export const ISR_QUEUE = 0x01;
export const ISR_CONFIG = 0x02;

/** Feature bit numbers of the transport (6). Bits 32 and up are in the second feature word. */
export const FEATURE_ANY_LAYOUT = 27;
export const FEATURE_INDIRECT_DESC = 28;
export const FEATURE_EVENT_IDX = 29;
export const FEATURE_VERSION_1 = 32;

/** Largest number of entries in one of our queues; the specification allows up to 32768. */
export const QUEUE_SIZE_MAX = 256;

/** Descriptor flags (2.7.5). */
export const DESC_NEXT = 1;
export const DESC_WRITE = 2;
export const DESC_INDIRECT = 4;
export const DESC_BYTES = 16;

/** Avail ring flag: the driver wants no used-buffer notifications (2.7.6). */
export const AVAIL_NO_INTERRUPT = 1;

/** Alignment of the used ring in the legacy layout, and the unit of the legacy queue address (2.7.2, 4.1.4.8). */
export const LEGACY_QUEUE_ALIGN = 4096;
