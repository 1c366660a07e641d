"""A small Whisper in PyTorch, as an engine. docs/torch_engine.md walks through its files.

layers, encoder, decoder    the network, and `decoder_cache`, what it remembers
mel                         sound to the encoder's input, on the device
rules, sampling             which tokens may be written, and which is
writing, steps, graphs      one token after the other, for all rows of a batch at once
attention, warping          when each token is said
loading, engine             weights in, texts out
"""
