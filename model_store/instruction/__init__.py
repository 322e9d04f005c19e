"""Visual instruction data in LLaVA's own records."""
