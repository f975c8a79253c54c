"A package that cannot be loaded."
module HarbourFog

error("nothing can be seen")

end
