"""How a state is refined, and how gradients pass through the refinement."""
