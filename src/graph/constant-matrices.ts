/** Constant matrices by which maps are pooled and resized, all row-major. */

type Size = readonly [number, number];

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

/** [output, input]: means over windows that cover the input, as even as they can be; neighbours overlap where it does not divide. */
export function averagingMatrix(input: number, output: number): Float32Array {
  const data = new Float32Array(output * input);
  for (let row = 0; row < output; row++) {
    const start = Math.floor((row * input) / output);
    const end = Math.ceil(((row + 1) * input) / output);
    data.fill(1 / (end - start), row * input + start, row * input + end);
  }
  return data;
}

/** Kronecker product: with the matrices for rows and for columns of a map, that for the map as one vector. */
export function kroneckerProduct(
  a: Float32Array,
  [aRows, aColumns]: Size,
  b: Float32Array,
  [bRows, bColumns]: Size,
): Float32Array {
  const product = new Float32Array(a.length * b.length);
  let at = 0;
  for (let row = 0; row < aRows * bRows; row++) {
    for (let column = 0; column < aColumns * bColumns; column++) {
      const ofA = a[Math.floor(row / bRows) * aColumns + Math.floor(column / bColumns)]!;
      product[at++] = ofA * b[(row % bRows) * bColumns + (column % bColumns)]!;
    }
  }
  return product;
}
