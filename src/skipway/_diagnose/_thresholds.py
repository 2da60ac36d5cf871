"""Every number that a verdict depends on, and where it comes from.

"Trial" is one trial of 80 networks of every kind (MLP, CNN, RNN, attention, U-Net, autoencoder,
with and without norms and skips), each trained and labelled by what its training did. "Benchmark"
is benchmarks/evidence/readings.csv: 130 patients, three seeds, whose causes were established by
treating them (docs/causes.md; docs/thresholds.png shows both sides of each). Other sources are
named where they count.
"""

from __future__ import annotations

# Decades of elasticity lost on the way back. Trial: healthy networks lose less than one to two.
# Benchmark: the sick lose 2.5 and more, the healthy less than 1 but for parts that nobody needs
# (the first steps of a recurrent network, a branch beside another): up to all.
FADING = 1.0
DYING = 2.0

# Elasticity. Trial: the lowest along a healthy network lies between 10^-2 and 1; at 10^-2.4 Adam
# still trains and SGD does not; networks sick of depth go on down to 10^-22. Benchmark: the sick
# reach at most 10^-3.2.
WEAK = 10**-2.5
# Down to here steps have to tell. Benchmark: of networks between the two, those that one of SGD's
# rates or Adam trains lie at 10^-3.1 to 10^-3.5, one that none does at 10^-3.3.
SURELY_DYING = 1e-4
# Where |L| means nothing only the fall counts, so more of it is asked for.
RELATIVE_DYING = 3.0
# All layers alike below this, gradient and signal shrink together (a deep linear network with
# small weights), and no ratio between layers shows it.
WEAK_EVERYWHERE = 1e-3
# One layer that loses this share of all decades is to blame by itself; depth is not.
SINGLE_LAYER_SHARE = 0.6
# The signal that shrinks this much forward takes the gradient's elasticity with it.
SHRINKING = 1e-3
# Fewer layers than this are not deep: a better start answers it, not a skip.
DEEP = 8

# Elasticity of the weights. That of the signal counts every sample and every place of an image by
# itself, and no step can reach one without the others: at the start of torchvision's networks with
# batch normalisation (4 images of 64 x 64) it goes to 14,000 while that of the weights stays below
# 900 (ResNet-101: 2,600), and they train. Where nothing cancels the two are close: tanh with gain 3
# (30 layers) 11,000, ReLU behind batch normalisation (50 layers) 26,000, and neither trains.
EXPLODING = 1e3
# Between the two only a few steps can tell. Benchmark: those sick in their gradient alone begin at
# 7,000, where steps in a chaotic network tell now this and now that.
SURELY_EXPLODING = 4e3
# The loss over that of the best constant output. Well started networks begin near 1; benchmark: at
# most at 4.5, those whose signal explodes at 800 and more.
MISSCALED = 10.0
# Root mean square of the last layer's output over the first one's that goes with it. Benchmark:
# at most 20 in healthy networks, 800 and more where the signal explodes.
GROWTH = 1e2

# Share of a layer's units that are zero for the whole batch. A vanishing ReLU network has about
# half, at most 67 %, of its units silent (its samples look the same, so a unit is on or off for
# all); above 90 % hardly anything can pass. Benchmark: at most 54 % in healthy networks (but for a
# dead branch beside a living one), all units in sick ones.
SILENT = 0.9
# Share of values where the activation is flatter than 1 % of its steepest slope.
# Benchmark: at most 4 % in healthy networks (but for one layer of several), 96 % in sick ones.
SATURATED = 0.7

# The part of what there is to learn, from a constant answer's loss to the lowest one, that the
# range of the answers puts out of reach. Softmax before a cross entropy of ten classes costs 63 %,
# a sigmoid before a loss that takes its own all of it; targets that lie within the range cost none.
SQUASHED = 0.3

# Slope of the loss at the answers over the mean slope on the way to a lower one. It is 1 or more
# for every loss that is convex in the answers. All sets of patients: 1.7 and more, and 10^-27 where
# a generator's loss is at its flat end.
FLAT_END = 1e-3

# What differs between the answers to different samples, as a share of them, where one answer for
# all fulfils an objective. Two views that have collapsed: 0.10 to 0.14; that agree and have not:
# 0.65 and more.
ALIKE = 0.25

# Targets over answers, in size. Of as many thousands no layer can change more than that part of the
# loss (WEAK_EVERYWHERE), though signal and gradient arrive.
FAR_OFF = 1 / WEAK_EVERYWHERE

# What differs between samples as a share of the signal. Benchmark: healthy networks keep 0.11 and
# more, those whose inputs lie far from zero come to 0.002 and less.
COLLAPSED = 1e-2
# Down to here steps have to tell: squeeze-and-excitation at its default start keeps 0.004, and
# trains.
SURELY_COLLAPSED = 1e-3

# Fraction of the loss that one step removes, to first order. Trial: healthy trainings lie between
# 10^-2.4 and 10^-0.5; learning rates too small from 10^-3.2 down; too large from 10^-0.1 up.
# Benchmark: too small at 10^-4.7 and below; healthy ones at 10^-3.35 and above (the slowest have no
# better rate). Too large begins at 0.27 and healthy goes up to 3.8, so beyond FAST steps are tried.
SLOW = TOO_SLOW = 10**-3.2
# Down to SURELY_SLOW, between the two of the benchmark, only as many steps as PATIENCE tell:
# perceptrons of five layers under SGD at 0.1 (7e-5 to 6e-4 a step in the first two hundred) and
# adapters under AdamW at 0.001 (2.5e-4) hardly move in forty steps and have learned all there is in
# five hundred. At SURELY_SLOW it takes eight hundred to take off the loss what STUCK asks for.
SURELY_SLOW = TOO_SLOW / 10
PATIENCE = 200
# From here down it takes eight thousand, and a training that is watched is told before it has taken
# as many as PATIENCE.
HOPELESS = TOO_SLOW / 100
FAST = 10**-0.5
# From here on, where too large begins in the trial, one step leaves it in doubt.
DOUBTFUL = 0.1
# A group whose rate is below this part of the largest is tried at that one too. Rates that are
# meant to differ do so by 2.6 from one layer to the next (Howard and Ruder 2018, 1801.06146); far
# beyond it only a training tells what they are good for.
SLOW_GROUP = 1e-3
# A loss that is still above this part of where it began, after forty steps on one batch.
STUCK = 0.95
# What another learning rate has to reach on the same batch to be called the better one.
BETTER = 0.9
# Where a learning rate is proposed, it is looked for around this progress.
GOOD = 10**-1.25
# Steps. Warm-ups that were published take a few hundred to 10,000 (Vaswani et al. 2017, Brown et
# al. 2020, Dosovitskiy et al. 2021); one that at its pace takes more than this does not arrive.
LONGEST_WARM_UP = 1e5
# Steps over which an optimizer takes the mean of its gradients, from which on a trial has to be as
# long as that. Usual are 10 (momentum 0.9) and 20 (0.95); forty steps show those.
LONG_MEMORY = 40
# Adam's denominator is sqrt(v) + eps: with most of sqrt(v) below eps, eps sets the step.
EPSILON_SHARE = 0.5

# Share of the weights with a gradient whose update rounding must swallow, and the part of the
# meant progress that must go with it, before rounding is what stops the learning.
# Benchmark: the sick lose 86 % of the updates and more; healthy ones in bfloat16 up to 67 %, but
# not their progress.
LOST = 0.5
LOST_PROGRESS = 0.5

# Where a loss is brought to see whether float16 loses its gradient: far above the smallest numbers
# of float16, 6e-8, and far below the largest, 65,504.
LOUD = 2.0**10

# Share of the answers that is the network's own noise, from which on steps have to tell. Benchmark:
# at the start usual dropout comes to 0.7 to 0.94 and a variational autoencoder to 1, and both learn
# all the same; dropout of 0.95, which does not, to 0.53 to 0.87.
DROWNED = 0.5

# How many times the decay's part of a step must outweigh the gradient's. Trained networks with
# normalisation settle near 1 (van Laarhoven 2017, 1706.05350). Benchmark: usual decay 0.02 and
# less, decay that stalls the training 12 and more.
DECAY = 3.0

# Below this share of the loss of the best constant output, little is left to learn. Benchmark:
# 0.0005 where nothing is, 0.14 late in a training that goes on.
SOLVED = 0.02
# Late in training |L| is small and elasticities are large without anything exploding.
NEARLY_SOLVED = 0.1

# Labels are called empty only when two independent tests agree, on at least this many samples:
# a permutation test of dependence finds none (p above), and what the network learns from one
# half of the batch takes nothing off the loss of the other. Benchmark: p is 0.13 and more for
# shuffled labels, 0.01 for every healthy network that was tested; of shuffled labels one batch in
# fifty comes below INDEPENDENT by chance at most (6 of 600). The other half's loss stays at 1.01
# and more of a constant's, where there is a signal it falls to 0.67 and less.
ENOUGH_SAMPLES = 64
INDEPENDENT = 0.02
# The second test learns from half of the batch, so it means as much from twice as many samples on.
# Of fewer the first has to be clear by itself: between INDEPENDENT and this it speaks for
# dependence rather than against it, and a larger batch tells.
UNDECIDED = 0.2
LEARNED = 0.9
CARRIED_OVER = 0.98

# How far answers move, as a share of what differs between samples, to be other answers. In another
# order of the samples rounding moves them by less than a millionth.
ANOTHER = 0.1

# Of fewer samples than this the halves are too small to say what other samples do, and a batch
# normalisation of them is one of a handful of numbers.
TELLING_BATCH = 16

# For a watched training; what is said above of one step holds here for one look.
# How many looks in a row something has to last before it is said: one step alone may be a
# hard batch, and a branch that starts at zero gets its gradient with the second step.
LASTING = 3
# A training with a warm-up has begun after this many looks at least.
BEGUN = 10
# Share of a layer's weights with a gradient where SILENT of the units on both of its sides are off.
ALIVE = (1 - SILENT) ** 2
# Signal times gradient below this has vanished: a gradient of weights is about as large, and
# float32 holds nothing below 10^-45.
UNDERFLOW = 1e-25
# Most layers' step over their weights: one as large as the weights replaces them, one of a training
# that moves changes them by a thousandth.
WILD = 1.0
# The loss, or most layers' weights, over those it began with, while the loss does not fall: more is
# a training that has come apart.
APART = 10.0

# What the best weight of a branch could do, over the stream beside it. At the start of reference
# networks the lowest is 0.24 to 1 (ResNet, DenseNet, MobileNet, RegNet), 0.014 (Swin, and ResNet
# started at zero) and 10^-3.9 (ConvNeXt, whose layer scale starts at 10^-6 and learns); where ReLUs
# are off it is 0, where a constant scales the branch away 10^-6 and less.
DEAD_BRANCH = 1e-5
# What enters a branch has to tell samples apart this well before its end can be blamed for losing
# it: as well as the healthy networks of the benchmark do.
TELLING = 0.1
# Of branches, or of layers that lie in them: more than this is what the network is sick of.
MOST_BRANCHES = 0.5
