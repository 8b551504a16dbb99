/* `fill` with vectors of LANES numbers, after `_blocks_kernel.h` */

/* Dequantise a block, transform it and write its samples at an offset into `c->plane` or `c->samples` */
static inline void NAMED(reconstruct)(const Component *c, Block block, size_t offset)
{
  for (int y = 0; y < SIDE; y++)
    for (int v = 0; v < VECTORS; v++)
      block[y][v] *= *(const Lanes *)(c->table + y * SIDE + v * LANES);
  NAMED(columns_to_samples)(block);
  NAMED(transpose)(block);
  NAMED(columns_to_samples)(block);
  if (c->samples)
    NAMED(write_samples)(block, c->samples + offset, SIDE * c->wide, c->scale);
  else
    NAMED(write_bytes)(block, c->plane + offset, SIDE * c->wide);
}

/* Fill a component, row by row of blocks; with phases, `residual` is a buffer for one row */
static void NAMED(fill)(const Component *c, float *residual)
{
  const int16_t *coefficients = c->coefficients;

  for (size_t row = 0; row < c->high; row++) {
    if (c->phases)
      interleave(c, row, 0, c->wide, residual);
    for (size_t column = 0; column < c->wide; column++, coefficients += SIDE * SIDE) {
      Block block;
      for (int y = 0; y < SIDE; y++)
        for (int v = 0; v < VECTORS; v++)
          block[y][v] = __builtin_convertvector(*(const Short *)(coefficients + y * SIDE + v * LANES), Lanes);
      if (c->phases)
        NAMED(add_residual)(c, residual + column * SIDE, block);
      NAMED(reconstruct)(c, block, (row * SIDE * c->wide + column) * SIDE);
    }
  }
}
