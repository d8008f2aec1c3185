/** Renders every golden vector and prints the outcomes by file name as JSON. */
import { readVectors, renderVector } from './vectors.ts';

const outcomes = [...readVectors()].map(([file, vector]) => [file, renderVector(vector)]);
process.stdout.write(JSON.stringify(Object.fromEntries(outcomes)));
