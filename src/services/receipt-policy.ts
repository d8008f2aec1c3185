/** What operators decide of receipts. */

/** What a receipt survives whose render was answered: the end of the process, of the machine, the loss of its disk. */
export const ACKNOWLEDGEMENTS = ['journal', 'fsync', 'database'] as const;
export type Acknowledgement = (typeof ACKNOWLEDGEMENTS)[number];

/** What becomes of a render whose receipt is not kept so: it is answered with a warning, or fails. */
export const RECEIPT_POLICIES = ['serve', 'refuse'] as const;
export type ReceiptPolicy = (typeof RECEIPT_POLICIES)[number];
