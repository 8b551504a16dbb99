/* The names of `_blocks_kernel.h` are free again for another kind of vectors. */

#undef LANES
#undef NAMED
#undef NAMED_1
#undef NAMED_2
#undef Lanes
#undef Whole
#undef Short
#undef Block
#undef VECTORS
