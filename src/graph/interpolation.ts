/** Constant matrices of bilinear interpolation. */

/** Row-major [output, input] matrix of linear interpolation with aligned corners. */
export function interpolationMatrix(input: number, output: number): Float32Array {
  const matrix = new Float32Array(output * input);
  for (let row = 0; row < output; row++) {
    const position = output === 1 ? 0 : (row * (input - 1)) / (output - 1);
    const low = Math.min(Math.floor(position), input - 1);
    const high = Math.min(low + 1, input - 1);
    const fraction = position - low;
    matrix[row * input + low]! += 1 - fraction;
    matrix[row * input + high]! += fraction;
  }
  return matrix;
}

/** Transpose of a row-major [rows, columns] matrix. */
export function transposedMatrix(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(matrix.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) result[j * rows + i] = matrix[i * columns + j]!;
  return result;
}
