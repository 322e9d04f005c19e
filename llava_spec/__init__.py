"""Facts of the LLaVA architecture that server, converter and training share. No torch, no I/O."""
