/**
 * InfoPro (Wang et al. 2021): a decoder that keeps information about the image and a classifier that asks for the label, with weights λ that
 * change linearly over the modules. HPFF's independent level has the classifier alone, at weight 1.
 */
import { decoderHead } from '../heads/decoder.js';
import { classifierOn, lambdaAt, type LocalRuleHeads } from './rule.js';

export const infopro: LocalRuleHeads = (recipe, targets, level, place) => {
  const { local } = recipe;
  const { position } = place;
  const classifier = classifierOn(recipe, targets, place);
  if (level === 'independent') return [{ head: classifier, weight: 1 }];
  const heads = [{ head: classifier, weight: lambdaAt(local.lambda.classifier, position) }];
  if (!local.decoder) return heads;
  const decoder = decoderHead(local.decoder, targets.image);
  return [{ head: decoder, weight: lambdaAt(local.lambda.decoder, position) }, ...heads];
};
