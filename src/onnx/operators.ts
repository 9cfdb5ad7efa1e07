/**
 * The operators of the domain ai.onnx, as far as the checker needs them: the names of all, and the signatures of those that
 * hpff writes. tools/check-operators.py compares these tables with the Python package onnx.
 */

/** The newest version of ai.onnx that the tables describe, which is the newest that ONNX Runtime 1.30 supports. */
export const MAX_OPSET = 26;

/** Version, operators that came with it; `/11` marks one that is deprecated from version 11 on. */
const INTRODUCED = `
  1 Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Clip Concat Constant Conv ConvTranspose
  1 DepthToSpace Div Dropout Elu Equal Exp Flatten Floor GRU Gather Gemm GlobalAveragePool GlobalLpPool
  1 GlobalMaxPool Greater HardSigmoid Hardmax Identity If InstanceNormalization LRN LSTM LeakyRelu Less Log
  1 LogSoftmax Loop LpNormalization LpPool MatMul Max MaxPool MaxRoiPool Mean Min Mul Neg Not Or PRelu Pad Pow RNN
  1 RandomNormal RandomNormalLike RandomUniform RandomUniformLike Reciprocal ReduceL1 ReduceL2 ReduceLogSum
  1 ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Selu Shape
  1 Sigmoid Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tanh Tile TopK Transpose
  1 Unsqueeze Upsample/10 Xor
  7 Acos Asin Atan Cos Multinomial Sin Tan
  8 Expand Scan
  9 Acosh Asinh Atanh Compress ConstantOfShape Cosh Erf EyeLike IsNaN MaxUnpool MeanVarianceNormalization NonZero
  9 OneHot Scatter/11 Shrink Sign Sinh TfIdfVectorizer Where
  10 ConvInteger DequantizeLinear IsInf MatMulInteger Mod NonMaxSuppression QLinearConv QLinearMatMul QuantizeLinear
  10 Resize ReverseSequence RoiAlign StringNormalizer ThresholdedRelu
  11 BitShift ConcatFromSequence CumSum Det DynamicQuantizeLinear GatherElements GatherND Range Round ScatterElements
  11 ScatterND SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength SplitToSequence
  11 Unique
  12 Celu Einsum GreaterOrEqual LessOrEqual NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss
  14 HardSwish Trilu
  15 Bernoulli CastLike Optional OptionalGetElement OptionalHasElement
  16 GridSample
  17 BlackmanWindow DFT HammingWindow HannWindow LayerNormalization MelWeightMatrix STFT SequenceMap
  18 BitwiseAnd BitwiseNot BitwiseOr BitwiseXor CenterCropPad Col2Im Mish
  19 DeformConv
  20 AffineGrid Gelu ImageDecoder RegexFullMatch StringConcat StringSplit
  21 GroupNormalization
  23 Attention RMSNormalization RotaryEmbedding
  24 Swish TensorScatter
  26 BitCast CumProd
`;

/**
 * Operator, version from which the signature holds, inputs `>` outputs (`*`: any number), attributes with their types (`!`:
 * required). Versions that changed types only are left out, as are signatures that ended before version 13.
 */
const SIGNATURES = `
  Abs 6 1 > 1
  Add 7 2 > 1
  And 7 2 > 1
  ArgMax 12 1 > 1 axis:int keepdims:int select_last_index:int
  AveragePool 10 1 > 1 auto_pad:string ceil_mode:int count_include_pad:int kernel_shape!:ints pads:ints strides:ints
  AveragePool 19 1 > 1 auto_pad:string ceil_mode:int count_include_pad:int dilations:ints kernel_shape!:ints pads:ints strides:ints
  BatchNormalization 9 5 > 1-5 epsilon:float momentum:float
  BatchNormalization 14 5 > 1-3 epsilon:float momentum:float training_mode:int
  Cast 6 1 > 1 to!:int
  Cast 19 1 > 1 saturate:int to!:int
  Cast 24 1 > 1 round_mode:string saturate:int to!:int
  Clip 11 1-3 > 1
  Concat 4 1-* > 1 axis!:int
  Constant 12 0 > 1 sparse_value:other value:tensor value_float:float value_floats:floats value_int:int value_ints:ints value_string:string value_strings:strings
  ConstantOfShape 9 1 > 1 value:tensor
  Conv 1 2-3 > 1 auto_pad:string dilations:ints group:int kernel_shape:ints pads:ints strides:ints
  ConvTranspose 1 2-3 > 1 auto_pad:string dilations:ints group:int kernel_shape:ints output_padding:ints output_shape:ints pads:ints strides:ints
  DepthToSpace 11 1 > 1 blocksize!:int mode:string
  Div 7 2 > 1
  Dropout 12 1-3 > 1-2 seed:int
  Equal 7 2 > 1
  Exp 6 1 > 1
  Expand 8 2 > 1
  Flatten 1 1 > 1 axis:int
  Floor 6 1 > 1
  Gather 1 2 > 1 axis:int
  GatherElements 11 2 > 1 axis:int
  GatherND 12 2 > 1 batch_dims:int
  Gemm 11 2-3 > 1 alpha:float beta:float transA:int transB:int
  GlobalAveragePool 1 1 > 1
  GlobalMaxPool 1 1 > 1
  Greater 7 2 > 1
  GreaterOrEqual 12 2 > 1
  HardSigmoid 6 1 > 1 alpha:float beta:float
  Identity 1 1 > 1
  IsNaN 9 1 > 1
  Less 7 2 > 1
  LessOrEqual 12 2 > 1
  Log 6 1 > 1
  LogSoftmax 1 1 > 1 axis:int
  MatMul 1 2 > 1
  Max 6 1-* > 1
  MaxPool 10 1 > 1-2 auto_pad:string ceil_mode:int dilations:ints kernel_shape!:ints pads:ints storage_order:int strides:ints
  Min 6 1-* > 1
  Mul 7 2 > 1
  Neg 6 1 > 1
  Not 1 1 > 1
  OneHot 9 3 > 1 axis:int
  Or 7 2 > 1
  Pad 11 2-3 > 1 mode:string
  Pad 18 2-4 > 1 mode:string
  Pow 7 2 > 1
  Range 11 3 > 1
  Reciprocal 6 1 > 1
  ReduceL2 1 1 > 1 axes:ints keepdims:int
  ReduceL2 18 1-2 > 1 keepdims:int noop_with_empty_axes:int
  ReduceMax 1 1 > 1 axes:ints keepdims:int
  ReduceMax 18 1-2 > 1 keepdims:int noop_with_empty_axes:int
  ReduceMean 1 1 > 1 axes:ints keepdims:int
  ReduceMean 18 1-2 > 1 keepdims:int noop_with_empty_axes:int
  ReduceMin 1 1 > 1 axes:ints keepdims:int
  ReduceMin 18 1-2 > 1 keepdims:int noop_with_empty_axes:int
  ReduceSum 13 1-2 > 1 keepdims:int noop_with_empty_axes:int
  ReduceSumSquare 1 1 > 1 axes:ints keepdims:int
  ReduceSumSquare 18 1-2 > 1 keepdims:int noop_with_empty_axes:int
  Relu 6 1 > 1
  Reshape 5 2 > 1
  Reshape 14 2 > 1 allowzero:int
  Resize 13 1-4 > 1 coordinate_transformation_mode:string cubic_coeff_a:float exclude_outside:int extrapolation_value:float mode:string nearest_mode:string
  Resize 18 1-4 > 1 antialias:int axes:ints coordinate_transformation_mode:string cubic_coeff_a:float exclude_outside:int extrapolation_value:float keep_aspect_ratio_policy:string mode:string nearest_mode:string
  ScatterElements 11 3 > 1 axis:int
  ScatterElements 16 3 > 1 axis:int reduction:string
  ScatterND 11 3 > 1
  ScatterND 16 3 > 1 reduction:string
  Shape 1 1 > 1
  Shape 15 1 > 1 end:int start:int
  Sigmoid 6 1 > 1
  Sign 9 1 > 1
  Slice 10 3-5 > 1
  Softmax 1 1 > 1 axis:int
  SpaceToDepth 1 1 > 1 blocksize!:int
  Split 13 1-2 > 1-* axis:int
  Split 18 1-2 > 1-* axis:int num_outputs:int
  Sqrt 6 1 > 1
  Squeeze 13 1-2 > 1
  Sub 7 2 > 1
  Sum 6 1-* > 1
  Tanh 6 1 > 1
  Tile 6 2 > 1
  TopK 11 2 > 2 axis:int largest:int sorted:int
  Transpose 1 1 > 1 perm:ints
  Unsqueeze 13 2 > 1
  Where 9 3 > 1
`;

/** How many inputs or outputs an operator takes. */
export interface Count {
  readonly min: number;
  readonly max: number;
}

export interface Signature {
  readonly inputs: Count;
  readonly outputs: Count;
  /** Attribute name → its type, one of the types of OnnxAttribute. */
  readonly attributes: ReadonlyMap<string, { readonly type: string; readonly required: boolean }>;
}

interface Lifetime {
  readonly since: number;
  /** The version that deprecated it. */
  readonly until: number;
}

/**
 * Why an operator is not one of a version of ai.onnx, or undefined if it is.
 * @param opset a version up to MAX_OPSET
 */
export function whyUnknown(opType: string, opset: number): string | undefined {
  const lifetime = LIFETIMES.get(opType);
  if (lifetime === undefined) return `is not an operator of ai.onnx`;
  if (opset < lifetime.since) return `is an operator from opset ${lifetime.since} on, the model imports ${opset}`;
  if (opset >= lifetime.until) return `is deprecated from opset ${lifetime.until} on, the model imports ${opset}`;
  return undefined;
}

/** The signature of an operator in a version of ai.onnx; undefined where the table has none. */
export function signatureOf(opType: string, opset: number): Signature | undefined {
  return SIGNATURES_BY_NAME.get(opType)?.findLast(({ since }) => since <= opset)?.signature;
}

const LIFETIMES = new Map(
  rows(INTRODUCED).flatMap(([since, ...words]) =>
    words.map((word): [string, Lifetime] => {
      const [name = '', until] = word.split('/');
      return [name, { since: Number(since), until: until === undefined ? Infinity : Number(until) }];
    }),
  ),
);

const SIGNATURES_BY_NAME = parseSignatures();

/** The signatures of each operator, oldest first. */
function parseSignatures(): Map<string, { since: number; signature: Signature }[]> {
  const byName = new Map<string, { since: number; signature: Signature }[]>();
  for (const [name = '', since, inputs = '', , outputs = '', ...attributes] of rows(SIGNATURES)) {
    const signature = {
      inputs: parseCount(inputs),
      outputs: parseCount(outputs),
      attributes: new Map(attributes.map(parseAttribute)),
    };
    byName.set(name, [...(byName.get(name) ?? []), { since: Number(since), signature }]);
  }
  return byName;
}

function parseCount(text: string): Count {
  const [min, max = min] = text.split('-');
  return { min: Number(min), max: max === '*' ? Infinity : Number(max) };
}

function parseAttribute(text: string): [string, { type: string; required: boolean }] {
  const [name = '', type = ''] = text.split(':');
  const required = name.endsWith('!');
  return [required ? name.slice(0, -1) : name, { type, required }];
}

/** The words of each line of a table. */
function rows(table: string): string[][] {
  const lines = table.split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '').map((line) => line.split(' '));
}
