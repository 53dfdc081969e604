"""Where the product's parts come from: pinned packages, the list of them (SBOM), and what is known against them."""
