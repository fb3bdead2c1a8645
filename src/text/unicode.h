// unicode: the few properties of characters that tokenizer files refer to. Depends on nothing.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// White_Space, as \s of a Unicode regular expression.
bool unicode_is_space(uint32_t cp);
// A character of a word, as \w of a Unicode regular expression: Alphabetic, marks, decimal digits,
// connector punctuation and the two joiners (Unicode Technical Standard 18, Annex C), Unicode 14.
bool unicode_is_word(uint32_t cp);
