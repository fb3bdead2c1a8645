// commands: the table of subcommands. Adding one: a line here and a file cmd/cmd_<name>.c.
#pragma once

// X(name, summary), a line each
// clang-format off
#define COMMAND_LIST(X) \
  X(bench, "measure how fast a model runs here, and how fast it could") \
  X(card, "write a bundle's model card from what is measured") \
  X(chat, "a conversation on the terminal, or through a pipe") \
  X(compare, "how far two models are apart on a text") \
  X(convert, "make a quantized bundle from a float checkpoint") \
  X(inspect, "say what a bundle or checkpoint is") \
  X(logits, "compute the logits of token ids, layer by layer if asked") \
  X(perplexity, "how well a model knows a text") \
  X(pull, "fetch a bundle from a Hugging Face compatible hub") \
  X(run, "answer one prompt, streamed") \
  X(serve, "answer requests over HTTP: OpenAI's and Anthropic's APIs, a chat page") \
  X(smoke, "ask what a user would first try, and judge the answers") \
  X(synth, "make a bundle of true shapes with random weights") \
  X(template, "a conversation as the chat template renders it, as text or ids") \
  X(tokenize, "text to token ids, and back") \
  X(verify, "check everything that can be checked of a bundle")
// clang-format on

#define COMMAND_DECLARE(name, summary) int cmd_##name(int argc, char **argv);
COMMAND_LIST(COMMAND_DECLARE)
#undef COMMAND_DECLARE

// Exit codes of every command.
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };
