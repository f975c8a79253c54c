# Starts `stage.jl` (the first argument, a job file being the second) in a module of its own. Each of
# its expressions is evaluated by itself, so that it may define functions and use them.

# Without this, the first error of a process that emits segfaults in `uv_write`: no `__init__` has opened the
# streams. Where one has, opening them again closes them twice, on which Julia crashes when it ends.
ccall(:jl_generating_output, Cint, ()) == 0 || Base.reinit_stdio()
Base.include(Module(:SysforgeStage), ARGS[1])
empty!(Core.ARGS)
empty!(ARGS)
