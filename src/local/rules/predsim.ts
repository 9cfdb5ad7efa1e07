/**
 * PredSim (Nøkland & Eidnes 2019): features of the same class are to be similar, and a linear classifier asks for the label. Both heads stand on
 * every level, since both ask for the label.
 */
import { similarityHead } from '../heads/similarity.js';
import { classifierOn, lambdaAt, type LocalRuleHeads } from './rule.js';

export const predsim: LocalRuleHeads = (recipe, targets, _level, place) => [
  {
    head: similarityHead(recipe.network.classes, targets.label),
    weight: lambdaAt(recipe.local.lambda.similarity, place.position),
  },
  { head: classifierOn(recipe, targets, place), weight: lambdaAt(recipe.local.lambda.classifier, place.position) },
];
