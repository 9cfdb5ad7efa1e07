/**
 * PredSim (Nøkland & Eidnes 2019): features of the same class are to be similar, and a linear classifier asks for the label. Both heads stand on
 * every level, since both ask for the label.
 */
import { classifierHead } from '../heads/classifier.js';
import { similarityHead } from '../heads/similarity.js';
import { lambdaAt, type LocalRuleHeads } from './rule.js';

export const predsim: LocalRuleHeads = ({ local, network }, targets, _level, { position }) => [
  { head: similarityHead(network.classes, targets.label), weight: lambdaAt(local.lambda.similarity, position) },
  {
    head: classifierHead(local.classifier, network.classes, targets.label),
    weight: lambdaAt(local.lambda.classifier, position),
  },
];
