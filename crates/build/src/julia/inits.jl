# The `__init__`s that workloads need in a process that emits an image, where Julia runs none; and setting back
# what they, and the workloads after them, set: an open file of this process in the image would crash every
# process on it. Works from Julia 1.5 on.

# The Julias, the modules whose `__init__` is run, in order, and what fails without.
const needed_inits = [
    # `rand()`: "AssertionError: 0 < tid <= length(THREAD_RNGs)", seen on 1.5.3.
    (v"1.5", v"1.7-", ("Random",)),
    # `A \ b` and `inv(A)` segfault, seen on 1.10.8 and 1.12.5: BLAS is reached by way of
    # libblastrampoline, which forwards nowhere.
    (v"1.7-", v"2", ("libblastrampoline_jll", "OpenBLAS_jll", "LinearAlgebra")),
]

# Variables as they were, newest last: the module, the name, the value, and what a list or a reference held.
const remembered = Any[]

function remember(mod, variables)
    for name in variables
        isdefined(mod, name) || continue
        value = getfield(mod, name)
        value isa Union{Module,Type,Function} && continue
        content = value isa Vector ? copy(value) :
            value isa Base.RefValue ? (isassigned(value) ? Any[value[]] : Any[]) : nothing
        (content !== nothing || !isconst(mod, name)) && push!(remembered, (mod, name, value, content))
    end
end

function set_back()
    for (mod, name, value, content) in reverse(remembered)
        if value isa Vector
            append!(empty!(value), content)
        elseif value isa Base.RefValue
            set_reference_back(value, content)
        end
        isconst(mod, name) || Core.eval(mod, Expr(:(=), name, QuoteNode(value)))
    end
    empty!(remembered)
end

function set_reference_back(ref, content)
    if !isempty(content)
        ref[] = content[1]
    elseif isassigned(ref) && !isbitstype(eltype(ref))
        # Not assigned is a null pointer in its only field.
        GC.@preserve ref unsafe_store!(Ptr{Ptr{Cvoid}}(pointer_from_objref(ref)), C_NULL)
    end
end

function run_inits(loaded)
    # LinearAlgebra adds a hook there.
    remember(Base, [:disable_library_threading_hooks])
    for (since, until, packages) in needed_inits, package in packages
        since <= VERSION < until || continue
        for mod in loaded
            nameof(mod) === Symbol(package) && isdefined(mod, :__init__) || continue
            remember(mod, Base.names(mod; all = true))
            Base.invokelatest(getfield(mod, :__init__))
            # A fixed state keeps images reproducible.
            nameof(mod) === :Random && isdefined(mod, :THREAD_RNGs) && seed(mod)
        end
    end
end

function seed(random)
    for i in 1:length(random.THREAD_RNGs)
        random.THREAD_RNGs[i] = Base.invokelatest(random.MersenneTwister, i)
    end
end
